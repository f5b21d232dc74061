"use strict";
/* Shows the report that lies in #data. Text from the report enters the page through textContent only
 * (and, in old browsers, as the escaped text of the noscript element). */
(async () => {
const main = document.getElementById("report");
/* #data is the document, as JSON, deflated, in base64. */
async function unpack() {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent.trim()), c => c.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
}
if (!window.DecompressionStream) { /* browsers from before 2023: the tables as text */
  main.innerHTML = document.querySelector("noscript").textContent;
  return;
}
const documentText = await unpack(), report = JSON.parse(documentText);

/* ---- Elements ------------------------------------------------------------------------------------- */
function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {}))
    if (name === "class") e.className = value;
    else if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) e.setAttribute(name, value);
  e.append(...children.filter(c => c !== null && c !== undefined));
  return e;
}
function section(id, title, ...children) {
  sections.push([id, title]);
  return el("section", {id}, el("h2", {}, title), ...children);
}
const sections = [];
const soft = (...text) => el("p", {class: "soft"}, ...text);

function copyButton(text, what) {
  const button = el("button", {class: "small", type: "button", "aria-label": "Copy " + what, onclick: async () => {
    let done = true;
    try { await navigator.clipboard.writeText(text()); }
    catch { done = copyBySelection(text()); }
    button.textContent = done ? "Copied" : "Press Ctrl+C";
    setTimeout(() => button.textContent = "Copy", 1500);
  }}, "Copy");
  return button;
}
/* Pages opened from a file may have no clipboard. */
function copyBySelection(text) {
  const area = el("textarea", {style: "position:fixed;opacity:0"});
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
const command = text => el("div", {class: "command"}, el("code", {}, text), copyButton(() => text, "command"));

/* ---- Commands: every figure says how to make it again ------------------------------------------------- */
const shellWord = s => /^[\w\-+=./:,@%]+$/.test(s) ? s : "'" + s.replaceAll("'", "'\\''") + "'";
/* The document's commands for one cell, with its own names in them; those of what it lacks are left out. */
function cellCommands(c, makes) {
  const own = {layer: c.layer, impl: c.impl, store: c.provenance.store, model: c.provenance.model,
    sim_direct: (c.critical.direct || {}).store, sim_model: (c.critical.model || {}).store};
  return report.cell_commands.filter(t => [...t.matchAll(/\{(\w+)\}/g)].every(m => own[m[1]]))
    .filter(t => !makes || makes.includes((/ -o \{(\w+)\}$/.exec(t) || [])[1]))
    .map(t => t.replace(/\{(\w+)\}/g, (_, name) => shellWord(own[name])));
}
const STORE = ["store"], ALL = ["store", "model", "sim_direct", "sim_model"];
/* How to make the figures beside it again: what they are of, then the report. Without cells, all of it. */
function again(cells, makes) {
  if (!report.commands.length) return null;
  const details = el("details", {class: "minor again"}, el("summary", {}, "Make this again"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    const steps = cells ? cells.flatMap(c => cellCommands(c, makes)) : [];
    const last = steps.length ? report.commands.slice(-1) : report.commands;
    details.append(...[...steps, ...last].map(command));
  });
  return details;
}

/* ---- Numbers, as the terminal shows them ------------------------------------------------------------ */
const known = x => typeof x === "number" && isFinite(x);
function percent(x) {
  if (!known(x)) return "–";
  const p = 100 * x;
  return p.toFixed(p === 0 || p >= 9.995 ? 1 : p >= 0.0995 ? 2 : 3) + " %";
}
const count = x => known(x) ? x.toLocaleString("en-US", {maximumFractionDigits: 1}) : "–";
function scaled(x, base, units) {
  if (!known(x)) return "–";
  let i = 0;
  while (i + 1 < units.length && Math.abs(x) >= base * (1 - 0.0005)) { x /= base; i++; }
  const text = i === 0 && Number.isInteger(x) ? String(x)
    : Math.abs(x) >= 100 ? x.toFixed(0) : String(+x.toPrecision(3));
  return text + units[i];
}
/* Ticks of axes: round numbers, so no zeros to say how exact they are. */
const short = x => String(+x.toPrecision(4));
const shortPercent = x => short(100 * x) + " %";
const shortTimes = x => short(x) + "×";
const amount = x => scaled(x, 1000, ["", " k", " M", " G", " T"]);
const bytes = x => scaled(x, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]);
const times = x => known(x) ? x.toFixed(x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2) + "×" : "–";
const sci = x => !known(x) ? "–" : x === 0 ? "0"
  : Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5 ? String(+x.toPrecision(3)) : x.toExponential(1);
const pvalue = p => p < 1e-4 ? "< 0.0001" : p.toFixed(4);

/* A cell of a table: what is shown, and what it is sorted and copied by. */
const text = (s, wrap) => ({show: s, sort: s, left: true, wrap});
const number = (x, format = count) => ({show: format(x), sort: x});
function range(e, format = percent, key = "value", unit = 1) {
  if (!e || !known(e[key])) return {show: "–", sort: null};
  const plain = x => format(x / unit).replace(/ %$/, "");
  return {show: [format(e[key] / unit), " ", el("small", {}, `[${plain(e.lo / unit * unit)}, ${plain(e.hi)}]`)],
          sort: e[key] / unit, extra: [e.lo / unit, e.hi / unit]};
}
const share = e => e ? range(e, percent, "share") : {show: "none", sort: 0};

/* ---- Tables: sortable by their heads, copied as tab-separated text ---------------------------------- */
/* A long_name_of_a_class, which may go on in a second line after each word. */
const breakable = name => name.split(/(?<=_)/).flatMap((word, i) => i ? [el("wbr"), word] : [word]);

function table(caption, heads, rows, {first = () => false, sortable = true} = {}) {
  const body = el("tbody");
  const ths = heads.map((h, column) => {
    const th = el("th", {scope: "col", class: rows.length && rows[0][column].left ? "text" : ""});
    th.append(sortable ? el("button", {type: "button", onclick: () => sort(column)}, h) : h);
    return th;
  });
  const line = (row, i) => el("tr", {class: first(i) ? "first" : ""}, ...row.map((c, column) => {
    const td = el(column === 0 ? "th" : "td", {class: (c.left ? "text" : "") + (c.wrap ? " wrap" : "") +
      (c.part === undefined ? "" : " shade"), style: c.part === undefined ? null : `--part:${(70 * c.part).toFixed(0)}%`,
      scope: column === 0 ? "row" : null, "data-value": c.sort});
    if (column === 0 && typeof c.show === "string" && c.show.includes("_"))
      td.append(...breakable(c.show));
    else
      td.append(...(Array.isArray(c.show) ? c.show : [c.show]));
    return td;
  }));
  const lines = rows.map(line);
  body.append(...lines);
  function sort(column) {
    const up = ths[column].getAttribute("aria-sort") !== "ascending";
    ths.forEach(th => th.removeAttribute("aria-sort"));
    ths[column].setAttribute("aria-sort", up ? "ascending" : "descending");
    const order = rows.map((row, i) => [row[column].sort, i]);
    order.sort(([a, i], [b, j]) => {
      const none = (a === null || a === undefined) - (b === null || b === undefined);
      const by = none || (typeof a === "string" ? a.localeCompare(b) : a - b) * (up ? 1 : -1);
      return by || i - j;
    });
    body.append(...order.map(([, i]) => lines[i]));
  }
  const tsv = () => [heads.join("\t"), ...rows.map(row => row.map(c => c.sort ?? "").join("\t"))].join("\n");
  return el("div", {},
    el("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption},
      el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, ...ths)), body)),
    el("div", {class: "tools"}, copyButton(tsv, "table")));
}

/* ---- Charts ----------------------------------------------------------------------------------------- */
const impls = [...new Set(report.cells.map(c => c.impl))];
const layers = [...new Set(report.cells.map(c => c.layer))];
const cellsOf = layer => report.cells.filter(c => c.layer === layer);
/* Okabe and Ito's colours; every series also has its own marker or hatching, and a label. */
const HUES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#9A8F00"];
const MARKS = ["circle", "triangle", "rect", "rectRot", "star", "crossRot", "cross"];
const THEMES = {light: {ink: "#1d2129", soft: "#5b6472", grid: "#e4e7eb", paper: "#fff"},
                dark: {ink: "#e6e9ee", soft: "#a0a9b6", grid: "#323946", paper: "#1b1f26"}};
const dark = matchMedia("(prefers-color-scheme: dark)");
let theme = dark.matches ? THEMES.dark : THEMES.light;
/* Name, colour, hatching. */
const OUTCOMES = [["masked", "#9fb8cc", 0], ["SDC", "#d55e00", 1], ["DUE", "#27405c", 2]];

const patternFill = i => hatched(HUES[i % HUES.length], Math.floor(i / HUES.length) + (i % 2));
/* A colour with stripes over it: 0 none, 1 slanting, 2 level, as pattern. */
function hatched(hue, style) {
  if (style === 0) return hue;
  const size = 8, tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const g = tile.getContext("2d");
  g.fillStyle = hue;
  g.fillRect(0, 0, size, size);
  g.strokeStyle = "rgba(255,255,255,.45)";
  g.lineWidth = 1.6;
  g.beginPath();
  if (style !== 2) { g.moveTo(-2, size + 2); g.lineTo(size + 2, -2); g.moveTo(-2, 2); g.lineTo(2, -2);
    g.moveTo(size - 2, size + 2); g.lineTo(size + 2, size - 2); }
  if (style === 2) { g.moveTo(0, size / 2); g.lineTo(size, size / 2); }
  g.stroke();
  return g.createPattern(tile, "repeat");
}
/* Writes each bar's value in it, where it fits. */
const barLabels = {id: "barLabels", afterDatasetsDraw(chart) {
  if (!chart.options.barLabels) return;
  const g = chart.ctx;
  g.save();
  g.font = "600 11px system-ui, sans-serif";
  g.textAlign = "center";
  g.textBaseline = "middle";
  chart.data.datasets.forEach((set, i) => chart.getDatasetMeta(i).data.forEach((bar, k) => {
    const label = percent(set.data[k]), wide = g.measureText(label).width;
    if (bar.width < wide + 8) return;
    const x = bar.x - bar.width / 2;
    g.fillStyle = "rgba(0,0,0,.6)";
    g.fillRect(x - wide / 2 - 3, bar.y - 8, wide + 6, 16);
    g.fillStyle = "#fff";
    g.fillText(label, x, bar.y);
  }));
  g.restore();
}};
/* Writes the name of each series beside its mark, where there is room for it; the legend has all names. */
const pointLabels = {id: "pointLabels", afterDatasetsDraw(chart) {
  if (!chart.options.pointLabels) return;
  const g = chart.ctx, area = chart.chartArea, marks = chart.data.datasets.map((set, i) =>
    chart.getDatasetMeta(i).data[set.mark]), taken = marks.map(m => [m.x - 8, m.y - 8, m.x + 8, m.y + 8]);
  const free = box => box[0] >= area.left && box[2] <= area.right && box[1] >= area.top && box[3] <= area.bottom &&
    !taken.some(b => b[0] < box[2] && box[0] < b[2] && b[1] < box[3] && box[1] < b[3]);
  g.save();
  g.font = "12px system-ui, sans-serif";
  g.fillStyle = theme.ink;
  g.textBaseline = "middle";
  chart.data.datasets.forEach((set, i) => {
    const {x, y} = marks[i], wide = g.measureText(set.label).width;
    const box = [[x + 11, y], [x - 11 - wide, y], [x - wide / 2, y - 17], [x - wide / 2, y + 17]]
      .map(([left, middle]) => [left, middle - 8, left + wide, middle + 8]).find(free);
    if (!box) return;
    taken.push(box);
    g.fillText(set.label, box[0], box[1] + 8);
  });
  g.restore();
}};
Chart.register(barLabels, pointLabels);
Chart.defaults.animation = false;
Chart.defaults.maintainAspectRatio = false;
Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
Chart.defaults.plugins.legend.labels.usePointStyle = true;

/* Charts are made when they can be seen, and again when the colours change. */
const charts = [];
function chart(label, height, config) {
  const box = el("div", {class: "chart", style: `height:${height}px`});
  const entry = {box, label, config, chart: null};
  charts.push(entry);
  return el("figure", {}, el("figcaption", {}, label), box);
}
function draw(entry) {
  if (entry.chart) entry.chart.destroy();
  const canvas = el("canvas", {role: "img", "aria-label": entry.label + "; the numbers are in the tables"});
  entry.box.replaceChildren(canvas);
  Chart.defaults.color = theme.soft;
  Chart.defaults.borderColor = theme.grid;
  entry.chart = new Chart(canvas, entry.config());
}
const visible = e => e.box.offsetParent !== null;
const drawVisible = () => charts.forEach(e => { if (!e.chart && visible(e)) draw(e); });
function recolour(to) {
  theme = to;
  charts.forEach(e => { if (e.chart) draw(e); });
}

/* The next 1, 2, 4, 6 or 8 times a power of ten. */
function niceAbove(x) {
  const ten = 10 ** Math.floor(Math.log10(x || 1));
  return [1, 2, 4, 6, 8, 10].find(k => k * ten >= x) * ten;
}
const axis = (title, more) => ({title: {display: true, text: title}, ...more});
const rowHeight = (n, legend = 40) => 62 + legend + 30 * n;

/* Shares of a whole, one bar for each implementation. */
function stack(names, series) {
  return {
    type: "bar",
    data: {labels: names, datasets: series.map(s => ({label: s.label, data: s.data, backgroundColor: s.fill(),
      borderColor: theme.paper, borderWidth: 1, barPercentage: .82, categoryPercentage: .95}))},
    options: {indexAxis: "y", barLabels: true,
      scales: {x: {stacked: true, min: 0, max: 1, ticks: {callback: shortPercent, maxTicksLimit: 6, maxRotation: 0}},
               y: {stacked: true, grid: {display: false}, ticks: {color: theme.ink}}},
      plugins: {legend: {position: "bottom", labels: {pointStyle: "rect"}},
        tooltip: {callbacks: {label: c => `${c.dataset.label}: ${percent(c.raw)}`}}}},
  };
}
/* Estimates with their intervals, one row for each implementation; series: [{label, of(impl)}]. */
function dots(names, series, title, format, tick, colourByRow) {
  const datasets = [];
  series.forEach((s, k) => names.forEach((name, i) => {
    const e = s.of(name);
    if (!e) return;
    const y = i + (k - (series.length - 1) / 2) * .26;
    const hue = colourByRow ? HUES[impls.indexOf(name) % HUES.length] : HUES[k];
    datasets.push({label: s.label, data: [{x: e.lo, y}, {x: e.value, y}, {x: e.hi, y}], showLine: true,
      borderColor: hue, backgroundColor: hue, borderWidth: 2.5, pointRadius: [0, 5.5, 0], hoverRadius: [0, 7, 0],
      pointStyle: colourByRow ? MARKS[impls.indexOf(name) % MARKS.length] : MARKS[k],
      say: `${name}${s.label ? ", " + s.label : ""}: ${format(e.value)} [${format(e.lo)}, ${format(e.hi)}]`,
      first: i === names.findIndex(n => s.of(n))});
  }));
  return {
    type: "scatter", data: {datasets},
    options: {
      scales: {x: axis(title, {beginAtZero: true, ticks: {callback: v => tick(v), maxRotation: 0}}),
        y: {reverse: true, min: -.6, max: names.length - .4, grid: {display: false}, afterBuildTicks: a =>
          { a.ticks = names.map((_, value) => ({value})); }, ticks: {color: theme.ink, autoSkip: false,
          callback: v => names[v]}}},
      plugins: {legend: {display: series.length > 1, position: "bottom",
          labels: {filter: (item, data) => data.datasets[item.datasetIndex].first}, onClick: null},
        tooltip: {callbacks: {label: c => c.dataset.say}}}},
  };
}

const swatch = impl => {
  const i = impls.indexOf(impl), size = 11, c = el("canvas", {class: "swatch", width: 2 * size, height: 2 * size,
    style: `width:${size}px;height:${size}px`, "aria-hidden": "true"});
  const g = c.getContext("2d");
  g.strokeStyle = g.fillStyle = HUES[i % HUES.length];
  g.lineWidth = 3;
  Chart.helpers.drawPoint(g, {pointStyle: MARKS[i % MARKS.length], radius: size - 2, rotation: 0, borderWidth: 3},
    size, size);
  return c;
};
const implName = impl => ({show: [swatch(impl), impl], sort: impl, left: true});

/* ---- The summary -------------------------------------------------------------------------------------- */
const ranking = report.ranking, network = ranking.network;
const critical = ranking.basis !== "SDC";
const what = critical ? "Critical failures per inference" : "Silent data corruptions per inference";
const basisOf = cell => ranking.basis === "critical-direct" ? cell.critical.direct
  : ranking.basis === "critical-model" ? cell.critical.model : null;
function cost(impl, only) {
  const of = report.cells.filter(c => c.impl === impl && (!only || c.layer === only));
  return {instructions: of.reduce((s, c) => s + c.instructions.thread, 0),
          workspace: Math.max(...of.map(c => c.workspace_bytes))};
}
const best = entries => entries.length ? entries[0].value : 0;
/* Relative to the safest, or as they are where that is 0. */
const unit = entries => best(entries) > 0 ? best(entries) : 1;
const relative = entries => best(entries) > 0 ? times : amount;
const tickOf = entries => best(entries) > 0 ? shortTimes : amount;

/* Few names in words, many by their marks. */
function tied(names, others) {
  if (names.length <= 2 || names.length === others)
    return text(names.length === 0 ? "–" : names.length > 1 && names.length === others ? "all others" : names.join(", "), true);
  const said = names.join(", ");
  return {show: [el("span", {role: "img", "aria-label": said, title: said}, ...names.map(swatch))], sort: said, left: true,
    wrap: true};
}
function rankTable(caption, entries, layer) {
  const per = unit(entries), format = relative(entries);
  return table(caption, ["Rank", "Implementation", "Relative", "Tied with",
    "Instructions", "Workspace"],
    entries.map(e => {
      const c = cost(e.impl, layer);
      return [{show: e.rank + (e.ties.length ? "=" : ""), sort: e.rank}, implName(e.impl),
        {show: [format(e.value / per), " ", el("small", {}, `[${format(e.lo / per)}, ${format(e.hi / per)}]`)],
         sort: e.value / per},
        tied(e.ties, entries.length - 1), number(c.instructions, amount),
        number(c.workspace, bytes)];
    }), {first: i => entries[i].rank === 1 && entries.length > 1});
}
function rankChart(entries, label) {
  const per = unit(entries), format = relative(entries), names = entries.map(e => e.impl);
  return chart(label, rowHeight(names.length, 0), () => dots(names, [{label: "", of: name => {
    const e = entries.find(x => x.impl === name);
    return {value: e.value / per, lo: e.lo / per, hi: e.hi / per};
  }}], best(entries) > 0 ? "relative to the safest" : "relative units", format, tickOf(entries), true));
}

function summary() {
  const points = report.summary.points.map(p => {
    const at = p.indexOf(": ");
    return el("li", {}, ...(at > 0 && at < 20 ? [el("b", {}, p.slice(0, at + 1)), p.slice(at + 1)] : [p]));
  });
  const box = el("section", {class: "summary", id: "summary"},
    el("p", {class: "headline"}, report.summary.headline), el("ul", {}, ...points));
  if (network.entries.length > 1)
    box.append(el("div", {class: "pair wide"},
      rankChart(network.entries, `${what}, whole network, with ${shortPercent(report.confidence)} intervals`),
      rankTable("Ranking over the whole network", network.entries)), again());
  return box;
}

/* ---- Trade-off ------------------------------------------------------------------------------------------ */
function tradeOff() {
  const state = {x: "instructions", layer: ""};
  const box = el("div");
  const show = () => {
    const entries = state.layer ? ranking.layers.find(l => l.layer === state.layer).entries : network.entries;
    const per = unit(entries), format = relative(entries), isBytes = state.x === "workspace";
    const figure = chart(`${what} against ${isBytes ? "workspace" : "instructions executed"}: ` +
      "better is down and to the left", 400, () => ({
      type: "scatter",
      data: {datasets: entries.map(e => {
        const x = cost(e.impl, state.layer)[state.x], i = impls.indexOf(e.impl), hue = HUES[i % HUES.length];
        return {label: e.impl, data: [e.lo, e.value, e.hi].map(y => ({x, y: y / per})), mark: 1, showLine: true,
          borderColor: hue, backgroundColor: hue, borderWidth: 2, pointRadius: [0, 7, 0], hoverRadius: [0, 8, 0],
          pointStyle: MARKS[i % MARKS.length],
          say: `${e.impl}: ${format(e.value / per)}, ${isBytes ? bytes(x) : amount(x) + " instructions"}`};
      })},
      options: {pointLabels: true, scales: {
          x: axis(isBytes ? "workspace" : "thread instructions per inference",
            {beginAtZero: true, ticks: {callback: v => isBytes ? bytes(v) : amount(v)}}),
          y: axis(best(entries) > 0 ? "relative to the safest" : "relative units",
            {beginAtZero: true, ticks: {callback: v => tickOf(entries)(v)}})},
        plugins: {legend: {position: "bottom"}, tooltip: {callbacks: {label: c => c.dataset.say}}}},
    }));
    charts.splice(charts.findIndex(e => e.box === box.querySelector(".chart")) >>> 0, 1);
    box.replaceChildren(figure);
    if (box.isConnected) drawVisible();
  };
  const choice = (label, options, set) => el("label", {}, label + " ", el("select", {onchange: e => {
    set(e.target.value);
    show();
  }}, ...options.map(([value, name]) => el("option", {value}, name))));
  show();
  return section("trade-off", "Safety against cost",
    soft("Failures count as fault sites × probability that a fault there changes the answer: an implementation that ",
      "executes less offers upsets fewer targets."),
    el("div", {class: "controls"},
      choice("Against", [["instructions", "instructions"], ["workspace", "workspace"]], v => state.x = v),
      choice("For", [["", "the whole network"], ...layers.map(l => [l, l])], v => state.layer = v)),
    box, again());
}

/* ---- A layer ---------------------------------------------------------------------------------------------- */
let epsilonIndex = 0;
const redoPatterns = [];

function outcomesOf(layer, cells) {
  const names = cells.map(c => c.impl);
  const traps = [...new Set(cells.flatMap(c => Object.keys(c.due_reasons)))];
  return el("div", {}, el("h3", {}, "Outcomes of the faults"), el("div", {class: "pair"},
    chart(`Share of ${count(cells[0].provenance.injections)} injections`, rowHeight(names.length), () =>
      stack(names, OUTCOMES.map(([o, hue, style]) => ({label: o, fill: () => hatched(hue, style),
        data: cells.map(c => c.outcomes[o].share)})))),
    table("Outcomes, with intervals", ["Implementation", "Masked", "SDC", "DUE"],
      cells.map(c => [implName(c.impl), share(c.outcomes.masked), share(c.outcomes.SDC), share(c.outcomes.DUE)]))),
    traps.length ? el("details", {class: "minor"}, el("summary", {}, "Reasons of the DUEs"),
      table("Reasons of the DUEs, shares of all injections with intervals", ["Implementation", ...traps],
        cells.map(c => [implName(c.impl), ...traps.map(t => share(c.due_reasons[t]))]))) : null,
    again(cells, STORE));
}

function criticalOf(layer, cells) {
  const names = cells.map(c => c.impl), cell = name => cells.find(c => c.impl === name);
  const sources = ["direct", "model"].filter(s => cells.some(c => c.critical[s]));
  if (!sources.length) return null;
  const labels = {direct: "errors of the injections", model: "errors drawn from the model"};
  const entries = (ranking.layers.find(l => l.layer === layer) || {entries: []}).entries;
  return el("div", {}, el("h3", {}, "What reached the answers"), el("div", {class: "pair fit"},
    chart("Probability that a silent corruption changes the answer", rowHeight(sources.length * names.length * .7), () =>
      dots(names, sources.map(s => ({label: labels[s], of: n => (cell(n).critical[s] || {}).given_sdc})),
        "P(critical | SDC)", percent, shortPercent)),
    table("Critical rates, with intervals",
      ["Implementation", ...sources.map(s => `critical | SDC, ${s}`), ...sources.map(s => `critical | fault, ${s}`),
        "Fault sites"],
      cells.map(c => [implName(c.impl), ...sources.map(s => range((c.critical[s] || {}).given_sdc)),
        ...sources.map(s => range((c.critical[s] || {}).given_fault)), number(c.population, amount)]))),
    entries.length > 1 ? el("div", {class: "pair fit"}, rankChart(entries, `${what}, layer ${layer}`),
      rankTable(`Ranking for layer ${layer}`, entries, layer)) : null,
    byPattern(cells), testsOf(layer), again(cells, ALL));
}

/* How often an error of each pattern changed the answer. */
function byPattern(cells) {
  const tried = cells.flatMap(c => ["direct", "model"].filter(s => c.critical[s]).map(s => [c, s]));
  const rows = Object.keys(report.words.patterns).filter(p => tried.some(([c, s]) => c.critical[s].patterns[p]));
  if (!rows.length) return null;
  return el("details", {class: "minor"}, el("summary", {}, "By spatial pattern"),
    table("Share of trials that were critical, and how many there were",
      ["Pattern", ...tried.map(([c, s]) => `${c.impl}, ${s}`)], rows.map(p => [text(p), ...tried.map(([c, s]) => {
        const k = c.critical[s].patterns[p];
        return k ? {show: [percent(k[1] / k[0]), " ", el("small", {}, "of " + count(k[0]))], sort: k[1] / k[0]}
          : {show: "–", sort: null};
      })])));
}

function testsOf(layer) {
  const of = layer === null ? network : ranking.layers.find(l => l.layer === layer);
  if (!of || !of.tests.length) return null;
  return el("details", {class: "minor"}, el("summary", {}, "Pairwise tests"),
    table(`Differences in ${what.toLowerCase()}; significant where Holm's p is at most ${ranking.alpha}`,
      ["First", "Second", "p", "p, Holm", "Verdict"],
      of.tests.map(t => [text(t.a), text(t.b), number(t.p, pvalue), number(t.p_holm, pvalue),
        text(t.significant ? t.a + " is safer" : "no significant difference")])));
}

function patternsOf(layer, cells) {
  const names = cells.map(c => c.impl), box = el("div");
  const show = () => {
    const at = c => c.epsilons[Math.min(epsilonIndex, c.epsilons.length - 1)] || {patterns: {}, domains: {}};
    const all = Object.keys(report.words.patterns).filter(p => cells.some(c => at(c).patterns[p]));
    const domains = [...new Set(cells.flatMap(c => Object.keys(at(c).domains)))];
    const old = charts.findIndex(e => e.box === box.querySelector(".chart"));
    if (old >= 0) charts.splice(old, 1);
    const words = Object.keys(report.words.patterns);
    const of = (key, kinds, title, head) => table(title, [head, ...names], kinds.map(k => [text(k),
      ...cells.map(c => share(at(c)[key][k]))]));
    box.replaceChildren(
      chart("Share of each spatial pattern among corrupted tensors", rowHeight(names.length, 80), () =>
        stack(names, all.map(p => ({label: p, fill: () => patternFill(words.indexOf(p)),
          data: cells.map(c => (at(c).patterns[p] || {share: 0}).share)})))),
      el("div", {class: "pair even"},
        of("patterns", all, "Spatial patterns, with intervals", "Pattern"),
        of("domains", domains, "Value domains of the corrupted values, with intervals", "Domain")),
      table("Size of the errors", ["Implementation", "Corrupted tensors", "Corrupted values, median", "most",
        "Largest error, first quartile", "median", "third quartile", "greatest", "Not finite"],
        cells.map(c => [implName(c.impl), share(at(c).corrupted), number(at(c).median_cardinality),
          number(at(c).max_cardinality), number(c.errors.q1, sci), number(c.errors.median, sci),
          number(c.errors.q3, sci), number(c.errors.max, sci), number(c.errors.not_finite)])));
    if (box.isConnected) drawVisible();
  };
  redoPatterns.push(show);
  show();
  return el("div", {}, el("h3", {}, "What the errors look like"), box, magnitudesOf(cells), again(cells, STORE));
}

function magnitudesOf(cells) {
  const decades = cells.flatMap(c => c.errors.decades.map(d => d[0]));
  if (!decades.length) return null;
  /* Floats reach from 1e-45 to 1e38; the far ends are put together. */
  const lo = Math.max(Math.min(...decades), -9), hi = Math.min(Math.max(...decades), 6);
  const labels = Array.from({length: hi - lo + 1}, (_, i) => i === 0 && Math.min(...decades) < lo ? "below 1e" + (lo + 1) : "1e" +
    (lo + i) + (lo + i === hi && Math.max(...decades) > hi ? " or more" : ""));
  const bin = d => Math.min(Math.max(d, lo), hi) - lo;
  return chart("Largest absolute error of each corrupted tensor, by power of ten", 260, () => ({
    type: "line",
    data: {labels, datasets: cells.map(c => {
      const i = impls.indexOf(c.impl), hue = HUES[i % HUES.length], n = c.outcomes.SDC.n;
      const data = labels.map(() => 0);
      c.errors.decades.forEach(([d, k]) => data[bin(d)] += k / n);
      return {label: c.impl, data, borderColor: hue,
        backgroundColor: hue, borderWidth: 2, pointStyle: MARKS[i % MARKS.length], pointRadius: 4};
    })},
    options: {scales: {x: axis("from"), y: axis("share of SDCs", {beginAtZero: true,
        ticks: {callback: shortPercent}})},
      plugins: {legend: {position: "bottom"},
        tooltip: {callbacks: {label: c => `${c.dataset.label}: ${percent(c.raw)}`}}}},
  }));
}

function pictureOf(p, impl) {
  const part = p.channels_shown < p.channels_all ? `, the ${p.channels_shown} first of them shown` : "";
  const name = p.kind === "worst" ? `${p.pattern}, worst` : p.pattern;
  return el("figure", {}, p.png ? el("img", {src: p.png,
      alt: `${name} in ${impl}: ${p.corrupted} corrupted values in ${p.channels} of ${p.channels_all} channels`}) : null,
    el("figcaption", {}, el("b", {}, name), ` · ${count(p.corrupted)} value${p.corrupted > 1 ? "s" : ""} in ` +
      `${count(p.channels)} of ${count(p.channels_all)} channels${part}; largest error ${p.max_abs_error === null ? "not finite"
        : sci(p.max_abs_error)}`, command(p.command)));
}
function picturesOf(cells) {
  const with_pictures = cells.filter(c => c.pictures.length), s = report.picture_scale;
  if (!with_pictures.length) return null;
  return el("div", {}, el("h3", {}, "Typical and worst corrupted tensors"),
    soft("Each picture is one injection, its channels side by side. Typical is the one with the median number of ",
      "corrupted values among those of its pattern, the worst the one with the most; the commonest pattern comes first."),
    el("div", {class: "scale"}, "error 10⁻" + String(s.decades).replace(/\d/g, d => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]), el("img", {src: s.png, alt: ""}),
      "as large as the largest fault-free value", el("i", {style: `background:${s.beyond}`}), "larger",
      el("i", {style: `background:${s.not_finite}`}), "not finite",
      el("i", {style: "background:#80808030"}), "unchanged"),
    ...with_pictures.map((c, i) => el("details", {class: "minor", open: i === 0 ? "" : null},
      el("summary", {}, swatch(c.impl), c.impl),
      el("div", {class: "pictures"}, ...c.pictures.map(p => pictureOf(p, c.impl))))));
}

/* A kernel's source with what came of the faults that struck each line. */
function listing(cell, file, struck) {
  const source = file < 0 ? null : report.sources[file], lines = source ? source.lines : [];
  const of = new Map(struck.map(l => [l[1], l])), context = 2, rows = [];
  const near = n => { for (let k = -context; k <= context; k++) if (of.has(n + k)) return true; return false; };
  const all = lines.length ? lines.map((_, i) => i + 1) : [...of.keys()];
  const total = cell.outcomes.SDC.n, most = Math.max(...cell.lines.map(l => l[3]), 1);
  let gap = false;
  for (const n of all) {
    if (!near(n)) { gap = true; continue; }
    if (gap && rows.length) rows.push(el("tr", {class: "gap"}, el("td", {colspan: 6}, "⋯")));
    gap = false;
    const code = el("td", {class: "code"}, lines[n - 1] || ""), l = of.get(n);
    const number = el("th", {scope: "row"}, n === 0 ? "?" : String(n));
    if (!l) { rows.push(el("tr", {class: "quiet"}, number, code, ...[1, 2, 3, 4].map(() => el("td")))); continue; }
    const faults = l[2] + l[3] + l[4];
    rows.push(el("tr", {}, number, code, el("td", {}, count(faults)),
      el("td", {class: "bar", style: `--part:${(100 * l[3] / most).toFixed(1)}%`}, `${count(l[3])} (${percent(l[3] / faults)})`),
      el("td", {}, `${count(l[4])} (${percent(l[4] / faults)})`),
      el("td", {}, l[5] === null ? "–" : percent(l[5] / faults))));
  }
  const name = source ? source.name : "lines of sources that are not known here";
  const here = struck.reduce((s, l) => s + l[3], 0);
  const tsv = () => ["Line\tSource\tMasked\tSDC\tDUE\tCritical", ...struck.map(l => [l[1], lines[l[1] - 1] || "", ...l.slice(2)]
    .join("\t"))].join("\n");
  return el("div", {}, el("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": name},
    el("table", {class: "listing"}, el("caption", {}, `${name}: ${percent(total ? here / total : 0)} of the SDCs`),
      el("thead", {}, el("tr", {}, ...["Line", "Source", "Faults", "SDC", "DUE", "Critical"].map(h => el("th", {scope: "col"}, h)))),
      el("tbody", {}, ...rows))), el("div", {class: "tools"}, copyButton(tsv, "listing")));
}
function sourceOf(cells) {
  const struck = cells.filter(c => c.lines.length && c.lines.some(l => l[1] > 0));
  if (!struck.length) return null;
  return el("div", {}, el("h3", {}, "Which lines of the kernels are vulnerable"),
    soft("Each fault is counted at the source line of the instruction it struck; the bar is the line's part of the SDCs. ",
      "Critical: probability that a fault there changes the answer."),
    ...struck.map(c => {
      const details = el("details", {class: "minor"}, el("summary", {}, swatch(c.impl), c.impl));
      details.addEventListener("toggle", () => {
        if (!details.open || details.childElementCount > 1) return;
        const files = [...new Set(c.lines.map(l => l[0]))];
        const sdcs = f => c.lines.filter(l => l[0] === f).reduce((s, l) => s + l[3], 0);
        files.sort((a, b) => sdcs(b) - sdcs(a));
        details.append(...files.map(f => listing(c, f, c.lines.filter(l => l[0] === f))));
      });
      return details;
    }), again(cells, ["store", "sim_direct"]));
}

function layerPart(layer, i) {
  const cells = cellsOf(layer), c = cells[0];
  return el("details", {class: "layer", id: "layer-" + i, open: i === 0 || layers.length <= 3 ? "" : null,
    ontoggle: drawVisible},
    el("summary", {}, layer || "layer", el("span", {class: "soft"},
      `${c.shape}, output ${c.output.join(" × ")}, ${cells.length} implementation${cells.length > 1 ? "s" : ""}`)),
    outcomesOf(layer, cells), criticalOf(layer, cells), patternsOf(layer, cells), picturesOf(cells),
    sourceOf(cells));
}
/* Layers down, implementations across, one figure in each cell, darker where it is larger. */
function overview() {
  if (layers.length < 2) return null;
  const cellOf = (l, i) => report.cells.find(c => c.layer === l && c.impl === i), box = el("div");
  const entry = (l, i) => {
    const entries = (ranking.layers.find(r => r.layer === l) || {entries: []}).entries;
    const e = entries.find(x => x.impl === i);
    return e && {share: e.value / unit(entries), format: relative(entries)};
  };
  const basis = ranking.basis === "critical-model" ? "model" : "direct";
  const measures = [[what + ", relative to the layer's safest", entry],
    ["Silent data corruptions, share of faults", (l, i) => cellOf(l, i)?.outcomes.SDC],
    ["Detected errors (DUE), share of faults", (l, i) => cellOf(l, i)?.outcomes.DUE]];
  if (critical) measures.push(["Critical, share of SDCs", (l, i) => {
    const e = cellOf(l, i)?.critical[basis]?.given_sdc;
    return e && {share: e.value};
  }]);
  const show = at => {
    const [title, of] = measures[at], all = layers.flatMap(l => impls.map(i => of(l, i)?.share)).filter(known);
    const most = Math.max(...all, 0) || 1;
    box.replaceChildren(table(title, ["Layer", ...impls], layers.map(l => [text(l), ...impls.map(i => {
      const e = of(l, i);
      return e && known(e.share) ? {show: (e.format || percent)(e.share), sort: e.share, part: e.share / most}
        : {show: "–", sort: null};
    })])));
  };
  show(0);
  return el("div", {id: "overview"}, el("label", {}, "Overview of ", el("select", {onchange: e => show(+e.target.value)},
    ...measures.map(([title], i) => el("option", {value: i}, title)))), box, again());
}
function layersPart() {
  const epsilons = report.cells.reduce((m, c) => c.epsilons.length > m.length ? c.epsilons : m, []);
  return section("layers", layers.length > 1 ? "Layer by layer" : "The layer", overview(),
    el("div", {class: "controls"}, el("label", {}, "A value counts as corrupted if it ", el("select", {onchange: e => {
      epsilonIndex = +e.target.value;
      redoPatterns.forEach(f => f());
    }}, ...epsilons.map((e, i) => el("option", {value: i}, e.epsilon === 0 ? "differs at all"
      : `differs by ${sci(e.epsilon)} or more`))))),
    ...layers.map(layerPart));
}

/* ---- The models against the injections they were built from ------------------------------------------------------ */
function modelsPart() {
  const both = report.cells.filter(c => c.critical.difference);
  if (!both.length) return null;
  const alpha = ranking.alpha, of = (c, s) => c.critical[s].given_sdc;
  const most = niceAbove(Math.max(...both.flatMap(c => [of(c, "direct").value, of(c, "model").value])));
  const shown = [...new Set(both.map(c => c.impl))];
  const figure = chart("P(critical | SDC): errors of the injections against errors drawn from the model; on the line " +
    "they agree", 420, () => ({
    type: "scatter",
    data: {datasets: [...shown.map(impl => { const i = impls.indexOf(impl), hue = HUES[i % HUES.length];
      const mine = both.filter(c => c.impl === impl);
      return {label: impl, data: mine.map(c => ({x: of(c, "direct").value, y: of(c, "model").value})),
        say: mine.map(c => `${c.layer} ${impl}: ${percent(of(c, "direct").value)} by injections, ` +
          `${percent(of(c, "model").value)} by model`), borderColor: hue, backgroundColor: hue, pointRadius: 6,
        borderWidth: 2, pointStyle: MARKS[i % MARKS.length]}; }),
      {label: "agreement", data: [{x: 0, y: 0}, {x: most, y: most}], showLine: true, pointRadius: 0, pointHitRadius: 0,
        borderColor: theme.soft, borderDash: [5, 5], borderWidth: 1.5, pointStyle: "line"}]},
    options: {scales: {x: axis("by injections", {min: 0, max: most, ticks: {callback: shortPercent}}),
        y: axis("by model", {min: 0, max: most, ticks: {callback: shortPercent}})},
      plugins: {legend: {position: "bottom"}, tooltip: {callbacks: {label: c => c.dataset.say[c.dataIndex]}}}},
  }));
  return section("models", "Do the error models tell the truth?",
    soft("The same rate twice: with the very errors of the injections, and with errors drawn from the model built of ",
      "them. p is that of no difference, not corrected for the number of rows."),
    el("div", {class: "pair wide"}, figure,
      table("P(critical | SDC), with intervals", ["Layer", "Implementation", "By injections", "By model", "Difference",
        "p", "Verdict"], both.map(c => { const d = c.critical.difference;
        return [text(c.layer), implName(c.impl), range(of(c, "direct")), range(of(c, "model")),
          range(d, x => (x > 0 ? "+" : x < 0 ? "−" : "") + percent(Math.abs(x))), number(d.p, pvalue),
          text(d.p > alpha ? "no significant difference" : d.value > 0 ? "model too severe" : "model too mild", true)]; }))),
    agreementTable(), again(null));
}

/* Each source of errors against the injections' own tensors, on the same images. */
function agreementTable() {
  const v = report.validation;
  if (!v) return null;
  const sources = Object.keys(v.mean_agreement), cells = v.rows.filter(r => r.source === "truth");
  const agreement = (c, s) => (v.rows.find(r => r.layer === c.layer && r.implementation === c.implementation &&
    r.source === s) || {}).agreement;
  const share = x => x === undefined ? text("") : number(x, y => `${(100 * y).toFixed(2)} %`);
  return table("Agreement: 100 % less the mean absolute difference of the shares of masked, tolerable and critical errors",
    ["Layer", "Implementation", ...sources.map(s => s[0].toUpperCase() + s.slice(1))],
    [...cells.map(c => [text(c.layer), implName(c.implementation), ...sources.map(s => share(agreement(c, s)))]),
      [text("mean"), text(""), ...sources.map(s => share(v.mean_agreement[s]))]]);
}

/* ---- Where it comes from -------------------------------------------------------------------------------------- */
function cellCommandsPart() {
  if (!report.cell_commands.length) return null;
  return el("details", {class: "minor"}, el("summary", {}, "The same step by step"),
    ...report.cells.flatMap(c => [soft(`${c.layer}, ${c.impl}`), ...cellCommands(c).map(command)]));
}

function saveButton() {
  return el("p", {}, el("button", {class: "small", type: "button", onclick: () => {
    const url = URL.createObjectURL(new Blob([documentText], {type: "application/json"}));
    el("a", {href: url, download: "report.json"}).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }}, "Save all numbers as JSON"));
}

function provenance() {
  const cells = report.cells;
  return section("provenance", "How to make every figure again",
    ...(report.commands.length ? [soft("All of it:"), ...report.commands.map(command)] : []),
    cellCommandsPart(), saveButton(),
    soft("One injection, by its number: ", el("code", {}, "sievert replay STORE N"),
      "; each picture above carries its own command."),
    table("Campaigns", ["Layer", "Implementation", "Tile", "Store", "Fault", "Population", "Sites", "Seed",
      "Injections", "Planned", "Stopped after", "Hang beyond", "Kernels"],
      cells.map(c => { const p = c.provenance; return [text(c.layer), implName(c.impl), text(c.tile || "–"),
        text(p.store), text(p.fault), text(p.population_kind), number(c.population), text(p.seed),
        number(p.injections), number(p.planned), text(p.stopping), number(p.hang_factor, x => x + " × fault-free"),
        text(p.kernels_hash)]; })),
    table("Errors tried in the network", ["Layer", "Implementation", "Errors", "Store", "Seed", "Images", "Trials",
      "Planned", "Masked", "Tolerable", "Critical"],
      cells.flatMap(c => ["direct", "model"].filter(s => c.critical[s]).map(s => { const t = c.critical[s];
        return [text(c.layer), implName(c.impl), text(s === "model" ? c.provenance.model || s : s),
          text(t.store || "–"), text(t.seed), number(t.images), number(t.trials), number(t.planned),
          number(t.effects.masked), number(t.effects.tolerable), number(t.effects.critical)]; }))),
    el("details", {class: "minor"}, el("summary", {}, "Kernel launches"),
      table("Fault-free launches", ["Layer", "Implementation", "Kernel", "Grid", "Block", "Thread instructions",
        "Warp instructions", "Fault sites"],
        cells.flatMap(c => c.launches.map(l => [text(c.layer), implName(c.impl), text(l.kernel),
          text(l.grid.join(" × ")), text(l.block.join(" × ")), number(l.thread_insns), number(l.warp_insns),
          number(l.population)])))));
}

function words() {
  const list = o => el("dl", {}, ...Object.entries(o).flatMap(([w, help]) => [el("dt", {}, w), el("dd", {}, help)]));
  const w = report.words;
  return section("words", "How to read this",
    el("p", {}, `Intervals are Wilson's at ${shortPercent(report.confidence)}. Where one error was tried on several images, `,
      "the injections are the independent experiments, and the intervals are as wide as that makes them. Rates by ",
      "model combine the share of SDCs that the model stands for with the share of drawn errors that were critical; ",
      "errors too small or too rare to be in the model count as not critical, and the model itself is taken as exact. ",
      "Sums over layers are bounded by the MOVER method. An implementation's rank is one more than the number of those ",
      "significantly safer, by pairwise tests with Holm's correction; “=” marks those that cannot be told apart."),
    el("p", {}, "What is struck is what the simulated program sees (results of instructions, or registers, addresses and memory where ",
      "the fault says so); caches, control logic and error-correcting codes are not modelled, nor is time: critical failures per inference are in relative units ",
      "(fault sites × probability), good for comparing implementations, not for absolute failure rates."),
    el("h3", {}, "Outcomes"), list(w.outcomes), list(w.effects),
    el("h3", {}, "Spatial patterns"), list(w.patterns), el("h3", {}, "Value classes"), list(w.values));
}

/* ---- The page --------------------------------------------------------------------------------------------------- */
const p0 = report.cells[0].provenance;
const facts = [report.network && report.network + (report.dataset ? " on " + report.dataset : ""),
  known(report.golden_accuracy) && "fault-free accuracy " + percent(report.golden_accuracy), p0.fault,
  `${layers.length} layer${layers.length > 1 ? "s" : ""} × ${impls.length} implementation${impls.length > 1 ? "s" : ""}`];
const parts = [summary(), network.entries.length > 1 ? tradeOff() : null, layersPart(), modelsPart()];
const tests = testsOf(null);
if (tests && layers.length > 1) parts[0].append(tests);
parts.push(provenance(), words());
main.append(
  el("header", {}, el("h1", {}, report.title), soft(facts.filter(Boolean).join(" · ")),
    el("nav", {"aria-label": "Sections"}, el("a", {href: "#summary"}, "Summary"),
      ...sections.map(([id, title]) => el("a", {href: "#" + id}, title)))),
  ...parts.filter(Boolean), el("footer", {}, soft(`Made by Sievert ${report.sievert}, compiled by ${report.versions.compiler}; kernels compiled by ` +
    `${report.versions.kernels}; networks computed by oneDNN ${report.versions.onednn}.`)));
drawVisible();
document.documentElement.dataset.ready = "yes";

dark.addEventListener("change", () => recolour(dark.matches ? THEMES.dark : THEMES.light));
document.addEventListener("toggle", drawVisible, true);
addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach(d => d.open = true);
  drawVisible();
  recolour(THEMES.light);
});
addEventListener("afterprint", () => recolour(dark.matches ? THEMES.dark : THEMES.light));
})();
