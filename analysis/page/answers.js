"use strict";
// The list of answers is on the left, one answer on the right. The address after the # names the answer and the filters.
// What a model wrote enters the page only by textContent, so none of it is ever read as HTML.

const ROW_HEIGHT = 46;  // pixels, as in the style
const KEPT_CHUNKS = 8;  // most unpacked chunks in memory
const WAIT = 250;       // milliseconds between the last key and the search

const byId = (id) => document.getElementById(id);
const index = JSON.parse(byId("index").textContent);
const packed = document.getElementsByClassName("chunk");
const titles = new Map(index.titles);
const rows = index.rows.map(([run, problem, sample, verdict, tokens], number) =>
  ({ number, run, problem, sample, tokens, verdict: index.verdicts[verdict] }));
const places = new Map(rows.map((row) => [address(row), row.number]));

const state = { run: "", verdict: "", problem: "", search: "", answer: "", raw: "", side: "" };
const opened = new Map();  // the folded sections that the reader opened or closed, by heading
let shown = [];            // numbers of the rows that pass the filters
let chosen = -1;           // number of the row shown on the right
let found = { words: "", rows: null };

function address(row) {
  return `${index.runs[row.run][0]}/${row.problem}/${row.sample}`;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// The answers, unpacked one chunk at a time

const unpacked = new Map();

async function unpack(number) {
  const zipped = new Blob([fromBase64(packed[number].textContent)]).stream();
  const stream = zipped.pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text), bytes = new Uint8Array(characters.length);
  for (let place = 0; place < bytes.length; place++) bytes[place] = characters.charCodeAt(place);
  return bytes;
}

function chunk(number) {
  const promise = unpacked.get(number) || unpack(number);
  unpacked.delete(number);
  unpacked.set(number, promise);
  if (unpacked.size > KEPT_CHUNKS) unpacked.delete(unpacked.keys().next().value);
  return promise;
}

async function answerOf(row) {
  let number = index.starts.length - 1;
  while (index.starts[number] > row.number) number--;
  const { shared, answers } = await chunk(number);
  const answer = answers[row.number - index.starts[number]];
  return { ...answer, question: shared[answer.question], prompt: JSON.parse(shared[answer.prompt]) };
}

// Filters

const isCorrect = (verdict) => verdict === "correct";

function passes(row) {
  return (!state.run || index.runs[row.run][0] === state.run)
    && (!state.problem || String(row.problem) === state.problem)
    && (!state.verdict || row.verdict === state.verdict || (state.verdict === "not correct" && !isCorrect(row.verdict)))
    && (!state.search || found.rows.has(row.number));
}

async function search(words) {
  const wanted = words.toLowerCase(), hits = new Set();
  for (let number = 0; number < packed.length; number++) {
    byId("count").textContent = `Searching: ${Math.round(100 * number / packed.length)} %`;
    const { shared, answers } = await unpack(number);
    if (words !== state.search) return false;
    const holds = shared.map((text) => text.toLowerCase().includes(wanted));
    answers.forEach((answer, place) => {
      const texts = [answer.raw.text, answer.converted ? answer.converted.text : "", answer.reason];
      if (holds[answer.question] || texts.some((text) => text.toLowerCase().includes(wanted))) {
        hits.add(index.starts[number] + place);
      }
    });
  }
  found = { words, rows: hits };
  return true;
}

async function filter() {
  if (state.search && found.words !== state.search && !(await search(state.search))) return;
  shown = rows.filter(passes).map((row) => row.number);
  const right = shown.filter((number) => isCorrect(rows[number].verdict)).length;
  const number = (value) => value.toLocaleString("en");
  const missing = Object.entries(index.missing).filter(([, count]) => count).map(([why, count]) =>
    `; ${number(count)} more ${why}`);
  byId("count").textContent =
    `${number(shown.length)} of ${number(rows.length)} answers, ${number(right)} correct${missing.join("")}`;
  byId("rows").style.height = `${shown.length * ROW_HEIGHT}px`;
  const requested = places.get(state.answer);
  await choose(shown.includes(requested) ? requested : shown.length ? shown[0] : -1);
  document.documentElement.dataset.shown = shown.length;
}

// The list: the page contains only the visible rows

function drawList() {
  const list = byId("list");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW_HEIGHT) - 5);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW_HEIGHT) + 5);
  const drawn = [];
  for (let place = first; place < last; place++) drawn.push(drawRow(rows[shown[place]], place));
  byId("rows").replaceChildren(...drawn);
}

function drawRow(row, place) {
  const line = element("div", "row"), top = element("div"), below = element("div", "quiet");
  line.id = `row-${row.number}`;
  line.style.top = `${place * ROW_HEIGHT}px`;
  line.setAttribute("role", "option");
  line.setAttribute("aria-selected", String(row.number === chosen));
  line.setAttribute("aria-setsize", shown.length);
  line.setAttribute("aria-posinset", place + 1);
  line.title = titles.get(row.problem);
  top.append(element("span", "", `Problem ${row.problem}, sample ${row.sample}`), verdictMark(row.verdict));
  below.append(element("span", "", runName(row.run)), element("span", "", row.tokens ? `${row.tokens} tokens` : ""));
  line.append(top, below);
  line.addEventListener("click", () => choose(row.number));
  return line;
}

function verdictMark(verdict) {
  const mark = isCorrect(verdict) ? "✓" : verdict.startsWith("not ") ? "–" : "✗";
  return element("span", isCorrect(verdict) ? "correct" : mark === "✗" ? "incorrect" : "quiet", `${mark} ${verdict}`);
}

function runName(number) {
  const [name, model] = index.runs[number];
  return model ? `${name} · ${model}` : name;
}

async function choose(number) {
  chosen = number;
  const list = byId("list"), top = shown.indexOf(number) * ROW_HEIGHT;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + ROW_HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_HEIGHT - list.clientHeight;
  if (number >= 0) state.answer = address(rows[number]);
  list.setAttribute("aria-activedescendant", `row-${number}`);
  writeAddress();
  drawList();
  await showAnswer();
}

function step(by) {
  const place = shown.indexOf(chosen) + by;
  if (place >= 0 && place < shown.length) choose(shown[place]);
}

// The answer

async function showAnswer() {
  const number = chosen, main = byId("answer");
  if (number < 0) return main.replaceChildren(element("p", "quiet", "No answer matches these filters."));
  const row = rows[number], siblings = index.runs.map((_, run) => siblingOf(row, run)).filter(Boolean);
  const columns = state.side ? siblings : [row];
  const answers = await Promise.all(columns.map(answerOf));
  if (number !== chosen) return;
  const own = answers[columns.indexOf(row)];
  const body = element("div", state.side ? "columns" : "single");
  columns.forEach((column, place) => body.append(answerSection(column, answers[place])));
  const parts = [element("h1", "", `Problem ${row.problem}, sample ${row.sample}`)];
  parts.push(folded("Problem", [textBlock(own.question)], titles.get(row.problem)), others(row, siblings), body);
  const prompt = own.prompt.flatMap(([who, text]) => [element("h3", "", who || "text"), textBlock(text)]);
  parts.push(folded("Prompt", prompt));
  main.replaceChildren(...parts);
  main.scrollTop = 0;
  document.documentElement.dataset.ready = address(row);
}

function siblingOf(row, run) {
  return rows[places.get(address({ ...row, run }))];
}

function others(row, siblings) {
  const line = element("div", "others");
  for (const sibling of siblings) {
    const button = element("button", "", `${index.runs[sibling.run][0]} `);
    button.append(verdictMark(sibling.verdict));
    button.setAttribute("aria-current", String(sibling === row));
    button.addEventListener("click", () => {
      if (!shown.includes(sibling.number)) change({ run: "", verdict: "", search: "", answer: address(sibling) });
      else choose(sibling.number);
    });
    line.append(button);
  }
  return siblings.length > 1 ? line : element("div");
}

function answerSection(row, answer) {
  const section = element("section"), heading = element("h2", "", `${runName(row.run)} · `), list = element("dl");
  heading.append(verdictMark(answer.reason || row.verdict));
  for (const [name, value] of answer.facts) {
    const pair = element("div");
    pair.append(element("dt", "", name), element("dd", "", value));
    list.append(pair);
  }
  section.append(heading, list);
  if (answer.failed) section.append(failedTest(answer));
  if (answer.converted && !state.raw) section.append(drawText(answer.converted, [], false));
  const raw = [...legend(answer), drawText(answer.raw, answer.segments, true)];
  if (state.raw || !answer.converted) section.append(...raw);
  else if (answer.segments.length) section.append(folded("Raw answer", raw, "by writer", true));
  section.append(folded("Record", [textBlock(answer.record)]));
  return section;
}

function failedTest({ failed, passed }) {
  const box = element("div", "failed"), tests = element("div", "tests");
  const first = `Test ${Number(failed.index) + 1} failed: ${failed.reason}`;
  box.append(element("p", "", passed ? `${first} (${passed} passed)` : first));
  for (const [name, value] of Object.entries(failed)) {
    if (["index", "passed", "reason", "seconds"].includes(name)) continue;
    const cell = element("div");
    cell.append(element("h3", "", name), value ? textBlock(value) : element("p", "quiet", "(empty)"));
    tests.append(cell);
  }
  box.append(tests);
  return box;
}

function legend({ segments }) {
  if (!segments.length) return [];
  const line = element("p", "quiet");
  const rest = ": written by the base model; plain: by the instruct model; grey: part of the prompt";
  line.append(element("span", "base", "underlined"), rest);
  return [line];
}

function folded(heading, content, more = "", first = false) {
  const made = element("details"), name = element("summary", "", more ? `${heading}: ${more}` : heading);
  made.open = opened.has(heading) ? opened.get(heading) : first;
  name.addEventListener("click", () => opened.set(heading, !made.open));  // remembers only the reader's own clicks
  made.append(name, ...content);
  return made;
}

function textBlock(text) {
  const block = element("pre");
  writeVisibly(block, text);
  return block;
}

// A text by its parts. Offsets count characters as Python does: an emoji is one, but two in JavaScript.

function drawText({ text, parts, thought }, segments, isRaw) {
  const points = Array.from(text), box = element("div", isRaw ? "raw" : "");
  const writers = segments.map(([start, end, who, tokens]) => ({ start, end, who, tokens }));
  const source = { points, writers }, inner = thought && element("div", "thought");
  let start = 0;
  for (const [kind, end] of parts) {
    const within = thought && start >= thought[0] && end <= thought[1];
    if (within && !inner.parentNode) box.append(thoughtSection(inner, parts, thought));
    if (isRaw || !["tag", "fence"].includes(kind)) drawPart(within ? inner : box, source, kind, start, end, isRaw);
    start = end;
  }
  return box;
}

function thoughtSection(inner, parts, thought) {
  const cutOff = thought[1] === parts[parts.length - 1][1];  // the answer ends within its thought, so the thought is shown
  return folded("Thought", [inner], `${(thought[1] - thought[0]).toLocaleString("en")} characters`, cutOff);
}

function drawPart(parent, source, kind, start, end, isRaw) {
  const isCode = kind === "python" || kind === "code", { points } = source;
  const blank = (place) => /^\s$/.test(points[place]);
  if (!isRaw) {
    while (start < end && (isCode ? points[end - 1] === "\n" : blank(end - 1))) end--;
    while (!isCode && start < end && blank(start)) start++;
  }
  if (start === end) return;
  const box = isRaw ? element("span", kind) : element(isCode ? "pre" : "div", isCode ? "code" : "prose");
  let place = start;
  const tokens = kind === "python" ? pythonTokens(points.slice(start, end).join("")) : [["", end - start]];
  for (const [type, size] of tokens) {
    writeByWriter(box, source, type, place, place + size);
    place += size;
  }
  parent.append(box);
}

function writeByWriter(parent, { points, writers }, type, start, end) {
  let place = start;
  const put = (until, className, title) => {
    const part = element("span", `${type} ${className}`.trim());
    if (title) part.title = title;
    writeVisibly(part, points.slice(place, until).join(""));
    parent.append(part);
    place = until;
  };
  for (const { start: from, end: to, who, tokens } of writers) {
    if (to <= place || from >= end) continue;
    if (from > place) put(from, "unwritten", "part of the prompt");
    put(Math.min(to, end), who, `${who} model, a turn of ${tokens} tokens`);
  }
  if (place < end) put(end, writers.length ? "unwritten" : "", "");
}

// Characters that are invisible or reverse the direction of text are shown as their code points.

const UNSEEN = /([\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\p{Cs})/u;

function writeVisibly(parent, text) {
  text.split(UNSEEN).forEach((part, place) => {
    const number = place % 2 && part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    if (part) parent.append(number ? element("span", "unseen", `U+${number}`) : part);
  });
}

// Python's tokens as pairs of kind and length in characters, in one pass over the text

const KEYWORDS = new Set(("False None True and as assert async await break class continue def del elif else except "
  + "finally for from global if import in is lambda nonlocal not or pass raise return try while with yield").split(" "));
const TOKEN = /(#[^\n]*)|([rbfuRBFU]{0,2})("""|'''|"|')|([\p{L}_][\p{L}\p{N}_]*)|((?:\d|\.\d)[\w.]*)/gu;

function pythonTokens(text) {
  const tokens = [], length = (from, to) => Array.from(text.slice(from, to)).length;
  let end = 0;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
    const [whole, comment, , quote, name] = match;
    const stop = quote ? stringEnd(text, TOKEN.lastIndex, quote) : TOKEN.lastIndex;
    const kind = comment ? "comment" : quote ? "string" : name ? (KEYWORDS.has(name) ? "keyword" : "") : "number";
    if (match.index > end) tokens.push(["", length(end, match.index)]);
    tokens.push([kind, length(match.index, stop)]);
    TOKEN.lastIndex = end = stop;
  }
  if (end < text.length) tokens.push(["", length(end, text.length)]);
  return tokens;
}

function stringEnd(text, start, quote) {
  for (let place = start; place < text.length; place++) {
    if (text[place] === "\\") place++;
    else if (text.startsWith(quote, place)) return place + quote.length;
    else if (text[place] === "\n" && quote.length === 1) return place;
  }
  return text.length;
}

// The address and the controls

function writeAddress() {
  const words = new URLSearchParams(Object.entries(state).filter(([, value]) => value));
  history.replaceState(null, "", `#${words}`);
}

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(state)) state[name] = words.get(name) || "";
  showControls();
}

function showControls() {
  for (const name of ["run", "verdict", "problem", "search"]) byId(name).value = state[name];
  for (const name of ["raw", "side"]) byId(name).checked = Boolean(state[name]);
}

function change(values) {
  Object.assign(state, values);
  showControls();
  return filter();
}

function fillChoices() {
  const count = (test) => rows.filter(test).length.toLocaleString("en");
  const option = (value, text) => {
    const made = element("option", "", text);
    made.value = value;
    return made;
  };
  const runs = index.runs.map(([name], run) => option(name, `${runName(run)} (${count((row) => row.run === run)})`));
  byId("run").append(option("", "all runs"), ...runs);
  const verdicts = index.verdicts.map((name) => option(name, `${name} (${count((row) => row.verdict === name)})`));
  const wrong = option("not correct", `not correct (${count((row) => !isCorrect(row.verdict))})`);
  byId("verdict").append(option("", "all verdicts"), wrong, ...verdicts);
  byId("problem").append(option("", "all problems"));
  for (const [problem, title] of index.titles) byId("problem").append(option(problem, `${problem}: ${title}`));
}

function listen() {
  for (const name of ["run", "verdict", "problem"]) {
    byId(name).addEventListener("change", (event) => change({ [name]: event.target.value }));
  }
  for (const name of ["raw", "side"]) {
    byId(name).addEventListener("change", (event) => change({ [name]: event.target.checked ? "yes" : "" }));
  }
  let waiting = 0;
  byId("search").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => change({ search: event.target.value }), WAIT);
  });
  byId("list").addEventListener("scroll", drawList);
  window.addEventListener("resize", drawList);
  window.addEventListener("hashchange", () => { readAddress(); filter(); });
  document.addEventListener("keydown", pressed);
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select")) return;
  const inList = event.target === byId("list");
  const by = { j: 1, k: -1, ...(inList ? { ArrowDown: 1, ArrowUp: -1 } : {}), ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (by) step(by);
  else if (event.key === "/") byId("search").focus();
  else return;
  event.preventDefault();
}

fillChoices();
listen();
readAddress();
filter();
byId("list").focus();
