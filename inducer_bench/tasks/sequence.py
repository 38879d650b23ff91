"""A source and its target as one sequence of segments, each opened by a special token.

    <bos_webnlg> <subject> Ada Barlow <property> birthPlace <object> Oakbridge <target_webnlg> ... <eos_webnlg>

Every token also belongs to its segment, whose special token's embedding is added to its own (`token_type_ids`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

from transformers import PreTrainedTokenizerBase

from inducer_bench.errors import UserError
from inducer_bench.tasks.cache import Encoded
from inducer_bench.tasks.options import SPECIAL_TOKENS

# More than tokens stand for. A text is cut there before it is encoded, if that leaves twice as many as are needed.
_CHARACTERS_PER_TOKEN = 100

Segment = tuple[str, str]  # the special token that opens the segment, and its text


@dataclass(frozen=True)
class Frame:
    """The special tokens around a task's sequences."""

    begin: str
    begin_segment: str  # the segment that `begin` belongs to
    target: str  # opens the target
    end: str


@dataclass(frozen=True)
class Sequences:
    """Turns texts into token ids.

    Args:
        frame: the task's special tokens.
        tokenizer: of the PLM.
        first_id: id of the first special token: the number of the PLM's embeddings.
        max_length: tokens of a sequence, generated ones included.
        source_tokens: most tokens of a source's first text; None for no limit.
    """

    frame: Frame
    tokenizer: PreTrainedTokenizerBase
    first_id: int
    max_length: int
    source_tokens: int | None

    def special(self, token: str) -> int:
        """The id of a special token."""
        return self.first_id + SPECIAL_TOKENS.index(token)

    def encode(self, sources: Sequence[Sequence[Segment]], targets: Sequence[str]) -> list[Encoded]:
        """Whole sequences for training; the loss is on the tokens from `prompt_length` on: the target and its end.

        A target takes at most half of the length. The rest is for the source, whose longest segments are cut.
        """
        end, most = self.special(self.frame.end), self.max_length // 2
        ended = [[*target[: most - 1], end] for target in self._tokens(targets)]
        prompts = self._prompts(sources, [self.max_length - len(target) for target in ended])
        return [self._joined(prompt, target) for prompt, target in zip(prompts, ended, strict=True)]

    def encode_prompts(self, sources: Sequence[Sequence[Segment]], new_tokens: int) -> list[Encoded]:
        """Sequences up to the token that opens the target, with room for `new_tokens` more."""
        return [
            self._joined(prompt, []) for prompt in self._prompts(sources, [self.max_length - new_tokens] * len(sources))
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated tokens up to the first special one."""
        ordinary = list(takewhile(lambda token: token < self.first_id, ids))
        return str(self.tokenizer.decode(ordinary, skip_special_tokens=True)).strip()

    def _prompts(
        self, sources: Sequence[Sequence[Segment]], lengths: Sequence[int]
    ) -> list[tuple[list[int], list[int]]]:
        """Ids and segments of each source, from the first token to the one that opens the target, cut to a length.

        Raises:
            UserError: there is no room for the special tokens and one of the source.
        """
        flat = self._tokens([text for source in sources for _, text in source])
        ends = list(accumulate(len(source) for source in sources))
        begin, begin_segment = self.special(self.frame.begin), self.special(self.frame.begin_segment)
        target = self.special(self.frame.target)
        prompts = []
        for source, end, length in zip(sources, ends, lengths, strict=True):
            specials = len(source) + 2
            room = length - specials
            if room < 1:
                raise UserError(
                    f"task.max_length: found {self.max_length}; a source of {len(source)} segments needs at "
                    f"least {specials + 1} tokens, and {length} are left; raise it, or lower "
                    "task.decoding.max_new_tokens"
                )
            first, *others = flat[end - len(source) : end]
            pieces = [piece[:room] for piece in (first[: self.source_tokens], *others)]
            for _ in range(sum(map(len, pieces)) - room):
                max(pieces, key=len).pop()
            ids, segments = [begin], [begin_segment]
            for (opening, _), piece in zip(source, pieces, strict=True):
                segment = self.special(opening)
                ids += [segment, *piece]
                segments += [segment] * (1 + len(piece))
            prompts.append(([*ids, target], [*segments, target]))
        return prompts

    def _joined(self, prompt: tuple[list[int], list[int]], target: list[int]) -> Encoded:
        ids, segments = prompt
        return {
            "input_ids": ids + target,
            "token_type_ids": segments + [self.special(self.frame.target)] * len(target),
            "prompt_length": len(ids),
            "length": len(ids) + len(target),
        }

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, or, of a text much longer than a sequence, those of its beginning.

        A text that occurs several times, such as the passage of a conversation, is encoded once; its ids are shared.
        """
        different = list(dict.fromkeys(texts))
        beginnings = [_beginning(text, _CHARACTERS_PER_TOKEN * self.max_length) for text in different]
        ids = self._encoded(beginnings)
        for number, (text, beginning) in enumerate(zip(different, beginnings, strict=True)):
            if len(beginning) < len(text) and len(ids[number]) < 2 * self.max_length:
                ids[number] = self._encoded([text])[0]
        by_text = dict(zip(different, ids, strict=True))
        return [by_text[text] for text in texts]

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids; each text begins with a space, so that a name has the same tokens in source and target."""
        if not texts:
            return []
        encoded = self.tokenizer([f" {text}" if text else "" for text in texts], add_special_tokens=False)
        return list(encoded["input_ids"])


def _beginning(text: str, length: int) -> str:
    """A text up to the last blank within so many characters; the whole text, if it is shorter or has no blank there."""
    return text if len(text) <= length else text[: max(text.rfind(" ", 0, length), 0)] or text
