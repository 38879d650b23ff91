// Figures by Vega: in the colours of the page, as wide as there is room, large on demand, and as SVG and PNG files.
"use strict";

const viewer = document.getElementById("viewer");
const DARK = matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map(); // element -> how to draw it again
const views = new Map(); // element -> Vega's view

// -- colours ----------------------------------------------------------------------------------------------------------

const PAPER = "#17181b";
const INK = "#e8e8ea";
const DARK_CONFIG = {
  background: PAPER,
  axis: { labelColor: INK, titleColor: INK, gridColor: "#33363c", domainColor: "#8a8e97", tickColor: "#8a8e97" },
  legend: { labelColor: INK, titleColor: INK },
  title: { color: INK, subtitleColor: INK },
  header: { labelColor: INK, titleColor: INK },
};

/** How bright a colour is, from 0 to 1, as WCAG defines it. */
function luminance(colour) {
  const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);
  const linear = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

/** A colour that can be seen on dark paper: white becomes the paper, black the ink, what is too dark gets some white. */
function onDark(colour) {
  if (luminance(colour) > 0.9) return PAPER;
  if (luminance(colour) < 0.02) return INK;
  const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const mixed = (share) =>
    `#${parts.map((part) => Math.round(part + share * (255 - part)).toString(16).padStart(2, "0")).join("")}`;
  let share = 0;
  while (luminance(mixed(share)) < 0.17) share += 0.1; // a contrast of 3.5 on the paper
  return mixed(share);
}

function recoloured(value) {
  if (typeof value === "string") {
    const named = { black: "#000000", white: "#ffffff" }[value] ?? value;
    return /^#[0-9a-f]{6}$/i.test(named) ? onDark(named) : value;
  }
  if (Array.isArray(value)) return value.map(recoloured);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, recoloured(each)]));
}

function themed(spec) {
  if (!DARK.matches) return spec;
  const config = { ...spec.config };
  for (const [key, value] of Object.entries(DARK_CONFIG)) {
    config[key] = typeof value === "string" ? value : { ...config[key], ...value };
  }
  return { ...recoloured(spec), config };
}

// -- sizes ------------------------------------------------------------------------------------------------------------

const PARTS = ["spec", "layer", "hconcat", "vconcat", "concat"];

/** The specification with every plot stretched; texts and marks keep their size. */
function stretched(spec, x, y) {
  if (Array.isArray(spec)) return spec.map((part) => stretched(part, x, y));
  const found = { ...spec };
  if (typeof found.width === "number") found.width = Math.max(60, found.width * x);
  if (typeof found.height === "number") found.height *= y;
  for (const key of PARTS) if (found[key]) found[key] = stretched(found[key], x, y);
  return found;
}

/** Without zooming, so that the wheel scrolls the page. */
function still(spec) {
  if (Array.isArray(spec)) return spec.map(still);
  const found = { ...spec };
  if (found.params) found.params = found.params.filter((param) => param.bind !== "scales");
  for (const key of PARTS) if (found[key]) found[key] = still(found[key]);
  return found;
}

// -- drawing ----------------------------------------------------------------------------------------------------------

const tip = make("div", { class: "tip", role: "tooltip", popover: "manual" });
document.body.append(tip);

/** Show the values of a mark beside the pointer. */
function showTip(handler, event, item, value) {
  if (value === null || value === undefined || value === "") {
    tip.hidePopover();
    return;
  }
  const entries = typeof value === "object" ? Object.entries(value) : [["", value]];
  const rows = entries.map(([key, each]) => make("tr", {}, make("th", {}, key), make("td", {}, String(each))));
  tip.replaceChildren(make("table", {}, make("tbody", {}, ...rows)));
  tip.showPopover();
  const [x, y] = [event.clientX + 14, event.clientY + 14];
  tip.style.left = `${Math.max(0, Math.min(x, innerWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${y + tip.offsetHeight > innerHeight ? Math.max(0, y - tip.offsetHeight - 28) : y}px`;
}

async function render(element, spec) {
  views.get(element)?.finalize();
  element.style.minHeight = `${element.offsetHeight}px`; // what is below does not move while this is drawn again
  const { view } = await vegaEmbed(element, spec, {
    mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false, ast: true, tooltip: showTip, logLevel: 1,
  });
  views.set(element, view);
  element.style.minHeight = "";
  return element.querySelector("svg").width.baseVal.value;
}

/** Draw a figure so that it is as wide as the element: at once if it fits, else by the room that its plots may take. */
async function fit(element, spec, grow = false) {
  const room = element.clientWidth;
  if (!room || !window.vegaEmbed) return;
  let shape = themed(grow ? spec : still(spec));
  if (room < 520 && shape.columns > 2) shape = { ...shape, columns: 2 };
  const natural = await render(element, shape);
  if (natural <= room && !grow) return;
  const height = element.querySelector("svg").height.baseVal.value;
  const first = room / natural;
  const tall = grow ? Math.min(first, Math.max(1, (innerHeight * 0.94 - 140) / height)) : 1;
  const width = await render(element, stretched(shape, first, tall));
  const slope = (width - natural) / (first - 1); // of the width by the share; what does not grow are texts
  const share = Math.max(0.2, 1 + (room - 2 - natural) / slope);
  if (Number.isFinite(share)) await render(element, stretched(shape, share, tall));
}

/** Draw a figure now, and again when the colours or the width of the page change; one drawing begins after the other. */
function drawChart(element, spec, grow = false) {
  let last = Promise.resolve();
  drawn.set(element, () => (last = last.catch(() => {}).then(() => fit(element, spec, grow))));
  return drawn.get(element)();
}

function drawAgain() {
  for (const [element, draw] of drawn) {
    if (element.isConnected) draw();
    else {
      views.get(element)?.finalize();
      drawn.delete(element);
      views.delete(element);
    }
  }
}

DARK.addEventListener("change", drawAgain);
let [width, waiting] = [innerWidth, 0];
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(drawAgain, 200);
});

// -- the figures of the page ------------------------------------------------------------------------------------------

function enlarge(figure) {
  const { title, spec } = REPORT.figures[figure.dataset.figure];
  const chart = make("div", { class: "chart" });
  const note = make("p", { class: "below" }, "Point at a mark for its values. Wheel and drag zoom and move, a double click resets.");
  openDialog(viewer, title, chart, note);
  return drawChart(chart, spec, true);
}

/** Save a figure as it is on white paper. */
async function saveFigure(figure, kind) {
  const name = `${figure.dataset.figure.split("/").at(-1)}.${kind}`;
  const { view } = await vegaEmbed(make("div"), REPORT.figures[figure.dataset.figure].spec, {
    mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false, ast: true, logLevel: 1,
  });
  if (kind === "svg") saveText(name, await view.toSVG(), "image/svg+xml");
  else save(name, await view.toImageURL("png", 2));
  view.finalize();
}

document.addEventListener("DOMContentLoaded", () => {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting) {
          seen.unobserve(target);
          drawChart(target.querySelector(".chart"), REPORT.figures[target.dataset.figure].spec);
        }
      }
    },
    { rootMargin: "100%" },
  );
  for (const figure of all("figure[data-figure]")) {
    seen.observe(figure);
    figure.querySelector(".enlarge").addEventListener("click", () => enlarge(figure));
    figure.querySelector(".chart").addEventListener("click", () => enlarge(figure));
    for (const link of all("a", figure)) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        saveFigure(figure, link.dataset.kind);
      });
    }
  }
});
