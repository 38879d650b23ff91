"""What comes from the hub is fetched before anything is built; without a network the answer is one line, not a wait."""

from contextlib import suppress

from inducer_bench import hub
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.plm import fetch as plm_fetch
from inducer_bench.tasks import source


def fetch(config: ExperimentConfig) -> bool:
    """Make sure that the PLM and the data are on this machine.

    Returns:
        Whether something comes from the hub and it cannot be reached: the run then works from the hub's cache.

    Raises:
        UserError: they are not, and cannot be fetched; the line says what to do instead.
    """
    needs_data, needs_plm = source.data_folder(config.task) is None, plm_fetch.comes_from_hub(config.plm)
    if not (needs_data or needs_plm):
        return False
    online = hub.reachable()
    with hub.offline(not online):
        if needs_data:
            source.fetch(config.task, online)
        if needs_plm:
            plm_fetch.fetch(config.plm, online)
    return not online


def learn_commits(config: ExperimentConfig) -> None:
    """Have the hub tell, and its cache remember, the commits that are not known yet; if it can be reached.

    Nothing is asked if all are known: a finished run is recognised without a network.
    """
    wanted: list[tuple[hub.Kind, str, str]] = []
    if source.data_folder(config.task) is None:
        data = source.hub_data(config.task)
        wanted.append(("dataset", data.path, data.revision))
    if plm_fetch.comes_from_hub(config.plm):
        wanted.append(("model", str(config.plm.hub), config.plm.revision))
    unknown = [repository for repository in wanted if hub.known_commit(*repository) is None]
    if not unknown or not hub.reachable():
        return
    from huggingface_hub import HfApi

    for kind, repository, revision in unknown:
        with suppress(Exception):  # whatever it is, `fetch` will meet it too, and tell it
            HfApi().resolve_revision(repository, repo_type=kind, revision=revision)
