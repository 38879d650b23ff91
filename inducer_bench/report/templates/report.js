// Sorting, filtering and searching the tables, and the downloads. Texts are set as text, never as HTML.
"use strict";

const REPORT = JSON.parse(document.getElementById("report-data").textContent);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/** An element with attributes, listeners (keys that begin with `on`) and children: elements or texts. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Move what is in an element into a button in it. */
function wrapInButton(element, className, onclick) {
  const button = make("button", { type: "button", class: className, onclick });
  button.append(...element.childNodes);
  element.append(button);
  return button;
}

// -- sorting ----------------------------------------------------------------------------------------------------------

const LANGUAGE = new Intl.Collator("en", { numeric: true });

/** Sort the rows by a column: the first click puts the best first, the second turns the order, the third undoes it. */
function sortBy(heading) {
  const headings = [...heading.parentElement.cells];
  const at = headings.indexOf(heading);
  const best = heading.dataset.better === "1" ? "descending" : "ascending";
  const turned = best === "descending" ? "ascending" : "descending";
  const order = { [best]: turned, [turned]: null }[heading.getAttribute("aria-sort")];
  for (const other of headings) other.removeAttribute("aria-sort");
  const chosen = order === undefined ? best : order;
  if (chosen) heading.setAttribute("aria-sort", chosen);
  const body = heading.closest("table").tBodies[0];
  const rows = [...body.rows];
  rows.forEach((row, place) => (row.dataset.place ??= place));
  const sign = chosen === "descending" ? -1 : 1;
  const empty = (cell) => cell.dataset.sort === undefined && (cell.matches(".text") || !cell.textContent.trim());
  rows.sort((left, right) => {
    const [one, other] = [left.cells[at], right.cells[at]];
    const places = left.dataset.place - right.dataset.place;
    if (!chosen) return places;
    if (empty(one) || empty(other)) return empty(one) - empty(other) || places; // cells without a number come last
    const [a, b] = [one.dataset.sort, other.dataset.sort];
    const difference =
      a !== undefined && b !== undefined ? a - b : LANGUAGE.compare(one.textContent, other.textContent);
    return sign * difference || places;
  });
  body.append(...rows);
  enterAt(heading.closest("section"));
}

for (const heading of all(".sortable .sorts th")) {
  wrapInButton(heading, "sort", () => sortBy(heading));
}

// -- filters ----------------------------------------------------------------------------------------------------------

const toolbar = document.querySelector(".toolbar");

/** Show the rows that have every word of the search and the chosen task, model and method; hide empty tables. */
function filter() {
  const chosen = Object.fromEntries(new FormData(toolbar));
  const words = chosen.words.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (wanted, found) => !wanted || found === undefined || found.split(" ").includes(wanted);
  const active = words.length || chosen.task || chosen.plm || chosen.method;
  let [rows, shown, tables] = [0, 0, 0];
  for (const section of all("main section.table")) {
    const { tasks, plm, text } = section.dataset;
    const about = fits(chosen.task, tasks) && fits(chosen.plm, plm);
    let here = 0;
    for (const row of all("tbody tr", section)) {
      const own = row.dataset;
      const found = `${text} ${own.text}`.toLowerCase();
      const fitting = about && fits(chosen.method, own.method) && fits(chosen.task, own.task) && fits(chosen.plm, own.plm);
      row.hidden = !(fitting && words.every((word) => found.includes(word)));
      here += !row.hidden;
      rows += 1;
    }
    section.hidden = Boolean(active && !here);
    shown += here;
    tables += here > 0;
    const entry = document.querySelector(`nav a[href="#${CSS.escape(section.id)}"]`);
    if (entry) entry.parentElement.hidden = section.hidden;
    if (here) enterAt(section);
  }
  toolbar.elements.found.textContent = active ? `${shown} of ${rows} rows, in ${tables} tables` : "";
}

// -- moving between the numbers of a table by arrow keys: one stop of the Tab key for each table ----------------------

/** Let the Tab key enter a table at a button, by default at the first one that is shown. */
function enterAt(section, button = section.querySelector("tbody tr:not([hidden]) .cell")) {
  for (const other of all('.cell[tabindex="0"]', section)) other.tabIndex = -1;
  if (button) button.tabIndex = 0;
}

function moveFocus(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const button = event.target.closest(".cell");
  if (!step || !button) return;
  const [cell, row] = [button.closest("td, th"), button.closest("tr")];
  const rows = all("tr:not([hidden])", row.parentElement);
  let [y, x] = [rows.indexOf(row), cell.cellIndex];
  do {
    [y, x] = [y + step[0], x + step[1]];
    if (!rows[y]?.cells[x]) return;
  } while (!rows[y].cells[x].querySelector(".cell"));
  const next = rows[y].cells[x].querySelector(".cell");
  event.preventDefault();
  enterAt(button.closest("section"), next);
  next.focus();
}

// -- downloads --------------------------------------------------------------------------------------------------------

function save(name, url) {
  make("a", { href: url, download: name }).click();
}

function saveText(name, text, type = "text/plain") {
  const url = URL.createObjectURL(new Blob([text], { type }));
  save(name, url);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

for (const link of all("section > .downloads a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const { path } = link.closest("section").dataset;
    const { kind } = link.dataset;
    saveText(`${path.split("/").at(-1)}.${kind}`, REPORT.texts[path][kind]);
  });
}

// -- start ------------------------------------------------------------------------------------------------------------

/** Make every number that has runs a button. */
function openable() {
  for (const cell of all("main [data-runs]:is(td, th)")) {
    const button = wrapInButton(cell, "cell", () => openRuns(cell));
    button.tabIndex = -1;
    button.setAttribute("aria-haspopup", "dialog");
  }
  for (const section of all("main section.table")) {
    enterAt(section);
    section.addEventListener("keydown", moveFocus);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  openable();
  toolbar.hidden = false;
  document.querySelector("nav details").open = innerWidth > 640;
  for (const hint of all(".hint, .enlarge")) hint.hidden = false;
  toolbar.addEventListener("input", filter);
  toolbar.addEventListener("reset", () => setTimeout(filter));
  toolbar.addEventListener("submit", (event) => event.preventDefault());
  filter();
});
