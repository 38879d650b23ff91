// The panel of a cell: the runs behind it, what sets them apart, their learning curves, and how to repeat them.
"use strict";

const panel = document.getElementById("panel");

/** Show elements in a dialog. Esc and a click beside it close it; the browser gives the focus back. */
function openDialog(dialog, title, ...children) {
  const close = make("button", { type: "button", class: "close", onclick: () => dialog.close() }, "Close");
  dialog.replaceChildren(make("h2", { id: `${dialog.id}-title` }, title), close, ...children.filter(Boolean));
  dialog.showModal();
  dialog.scrollTop = 0;
}

for (const dialog of all("dialog")) {
  dialog.addEventListener("click", (event) => {
    const box = dialog.getBoundingClientRect();
    const [x, y] = [event.clientX, event.clientY];
    const inside = x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
    if (event.target === dialog && !inside) dialog.close();
  });
  dialog.addEventListener("close", () => dialog.replaceChildren());
}

/** A table of texts and elements. */
function tableOf(headings, rows) {
  const head = make("tr", {}, ...headings.map((heading) => make("th", { scope: "col" }, heading)));
  const cell = (value) => make("td", { class: value?.length > 12 || value?.append ? "value" : null }, value ?? "");
  const body = rows.map((row) => make("tr", {}, ...row.map(cell)));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { class: "scroll" }, table);
}

function openRuns(cell) {
  const numbers = (one) => (one.dataset.runs ?? "").split(" ").filter(Boolean).map(Number);
  const runs = numbers(cell).map((number) => REPORT.runs[number]);
  const row = cell.closest("tr");
  const heading = all(".sorts th", cell.closest("table"))[cell.cellIndex];
  const section = cell.closest("section");
  const alone = section.id === "runs";
  const others = alone ? [] : othersOf(row, runs, numbers);
  const label = row.cells[0].textContent;
  const score = heading.dataset.value;
  const chart = make("div", { class: "chart" });
  openDialog(
    panel,
    alone ? `${label}, seed ${runs[0].seed}` : `${label}: ${heading.dataset.heading || "runs"}`,
    make("p", { class: "below" }, alone ? whereOf(runs) : `${section.querySelector("h3").textContent} ${whereOf(runs)}`),
    alone || cell.cellIndex === 0 ? null : make("p", {}, cell.textContent),
    make("h3", {}, runs.length === 1 ? "Run" : `${runs.length} runs`),
    runsTable(runs, score),
    chart,
    ...settingsOf(runs, others),
    ...commandsOf(runs),
  );
  drawCurves(chart, runs);
}

/** The runs of the other rows of a table that are about the same tasks. */
function othersOf(row, runs, numbers) {
  const tasks = new Set(runs.map((run) => run.task));
  const rows = all("tr", row.parentElement).filter((other) => other !== row);
  const found = new Set(rows.flatMap((other) => numbers(other.cells[0])));
  return [...found].map((number) => REPORT.runs[number]).filter((run) => tasks.has(run.task));
}

function whereOf(runs) {
  const parts = ["task", "plm", "protocol", "code", "device"].map((key) => [...new Set(runs.map((run) => run[key]))]);
  const [tasks, plms, protocols, code, devices] = parts.map((values) => values.filter(Boolean).join("; "));
  return `${tasks} on ${plms}, protocol ${protocols}. Code: ${code}.${devices ? ` Device: ${devices}.` : ""}`;
}

// -- the runs ---------------------------------------------------------------------------------------------------------

function runsTable(runs, score) {
  const names = [...new Set([...runs.map((run) => run.metric), score])].filter((name) =>
    runs.some((run) => name in (run.scores ?? {})),
  );
  const shown = (value, digits = 2) => (value === null || value === undefined ? "" : value.toFixed(digits));
  const several = new Set(runs.map((run) => run.title)).size > 1;
  const configs = runs.map(settingsOfRun);
  const varying = Object.keys(configs[0]).filter(
    (key) => !/^(seed|task\.|protocol\.)/.test(key) && new Set(configs.map((config) => config[key])).size > 1,
  );
  const keys = several ? [] : varying.slice(0, 3);
  const short = keys.map((key) => key.replace(/^.*\./, ""));
  const costs = ["training, s", "epoch", "written (UTC)", "folder and files"];
  const headings = [several ? "method" : null, "seed", ...short, "status", ...names, ...costs];
  const rows = runs.map((run) => [
    several ? run.title : null,
    String(run.seed),
    ...keys.map((key) => settingsOfRun(run)[key]),
    run.error ? `${run.status}: ${run.error}` : run.trial ? `${run.status}, trial` : run.status,
    ...names.map((name) => shown(run.scores?.[name])),
    shown(run.train_seconds, 0),
    String(run.epoch ?? ""),
    run.date,
    filesOf(run),
  ]);
  const kept = headings.map((heading) => heading !== null);
  return tableOf(headings.filter((_, at) => kept[at]), rows.map((row) => row.filter((_, at) => kept[at])));
}

function filesOf(run) {
  const link = (path, text) => make("a", { href: path, target: "_blank", rel: "noopener", title: run.folder }, text);
  const short = (name) => name.replace(/\..*/, "");
  const files = run.files.flatMap((name) => [", ", link(`${run.link}/${encodeURIComponent(name)}`, short(name))]);
  return make("span", {}, link(`${run.link}/`, run.hash), ...files);
}

// -- settings ---------------------------------------------------------------------------------------------------------

const settingsOfRun = (run) => ({ ...REPORT.usual, ...run.config });

/** What sets these runs apart: from what their methods ship with, from one another, and from the other rows. */
function settingsOf(runs, others) {
  const found = [make("h3", {}, "Settings that differ from the method's own")];
  if (runs.some((run) => run.changed === null)) {
    found.push(make("p", { class: "below" }, "No configuration file here says what the method ships with."));
  }
  const changed = new Map();
  for (const run of runs) {
    for (const [key, value, shipped] of run.changed ?? []) {
      const entry = changed.get(key) ?? { values: new Set(), shipped };
      changed.set(key, { ...entry, values: entry.values.add(value) });
    }
  }
  const rows = [...changed].map(([key, { values, shipped }]) => [key, listed(values), shipped ?? "not set"]);
  if (rows.length) found.push(tableOf(["setting", "here", "method's own"], rows));
  else if (!runs.some((run) => run.changed === null)) found.push(make("p", {}, "None."));
  const apart = differences(runs.map(settingsOfRun), others.map(settingsOfRun));
  if (apart.length) {
    found.push(make("h3", {}, "Settings that differ from the other rows"), tableOf(["setting", "here", "other rows"], apart));
  }
  return found;
}

/** Key, values here, values there, of the settings that both have with different values; seeds do not count. */
function differences(here, there) {
  const values = (configs, key) => new Set(configs.filter((config) => key in config).map((config) => config[key]));
  const keys = new Set(here.flatMap(Object.keys));
  return [...keys]
    .filter((key) => !["seed", "task.name", "method.name"].includes(key))
    .map((key) => [key, values(here, key), values(there, key)])
    .filter(([, own, theirs]) => theirs.size && [...own, ...theirs].some((v) => own.has(v) !== theirs.has(v)))
    .map(([key, own, theirs]) => [key, listed(own), listed(theirs)])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function listed(values, most = 6) {
  const sorted = [...values].sort(LANGUAGE.compare);
  const more = sorted.length > most ? ` and ${sorted.length - most} more` : "";
  return sorted.slice(0, most).join("; ") + more;
}

// -- commands ---------------------------------------------------------------------------------------------------------

function commandsOf(runs) {
  const commands = [...new Set(runs.map((run) => run.command))];
  const recorded = runs.some((run) => run.recorded);
  const [first, ...rest] = commands.map((command) =>
    make("div", {}, make("pre", { class: "command", tabindex: "0" }, command), copyButton(command)),
  );
  const more = rest.length
    ? make("details", {}, make("summary", {}, `${rest.length} more: one for each run`), ...rest)
    : null;
  const title = recorded ? "The command that was given; it may have been a sweep" : "Repeat";
  return [make("h3", {}, title), first, more];
}

function copyButton(text) {
  const button = make("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  });
  return button;
}

// -- learning curves --------------------------------------------------------------------------------------------------

function drawCurves(chart, runs) {
  const several = new Set(runs.map((run) => run.seed)).size < runs.length;
  const name = (run) => (several ? `${run.hash.slice(0, 6)}, seed ${run.seed}` : `seed ${run.seed}`);
  const plot = (key, x, y) => {
    const values = runs.flatMap((run) => run.curve[key].map(([at, value]) => ({ run: name(run), x: at, y: value })));
    const axis = (title, more) => ({ type: "quantitative", title, scale: { zero: false }, ...more });
    const places = [...new Set(values.map((value) => value.x))];
    return values.length < 2
      ? null
      : {
          data: { values },
          width: 300,
          height: 180,
          mark: { type: "line", point: { size: 25 }, strokeWidth: 1.5 },
          encoding: {
            x: axis(x, { field: "x", axis: places.length < 12 ? { values: places } : {} }),
            y: axis(y, { field: "y" }),
            color: { field: "run", type: "nominal", title: null, legend: runs.length > 1 && runs.length < 13 ? {} : null },
            tooltip: [
              { field: "run", title: "run" },
              { field: "x", title: x },
              { field: "y", title: y, format: ",.4~f" },
            ],
          },
        };
  };
  const scores = [...new Set(runs.map((run) => run.curve.score))];
  const plots = [
    plot("epochs", "epoch", `${scores.join(", ")} on the selection set`),
    plot("losses", "step", "training loss"),
  ].filter(Boolean);
  if (!plots.length || !window.vegaEmbed) {
    chart.replaceWith(make("p", { class: "below" }, "No learning curve was recorded, or it cannot be drawn."));
    return;
  }
  const narrow = chart.clientWidth < 600;
  const font = { labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal" };
  const config = { view: { stroke: null }, axis: font, legend: { ...font, orient: "bottom", columns: narrow ? 3 : 6 } };
  drawChart(chart, { description: "Learning curves", [narrow ? "vconcat" : "hconcat"]: plots, config });
}
