// The page of a service. It knows no system: everything comes from /models.

const element = (id) => document.getElementById(id);
const state = {
  models: [], model: null, inputs: {}, seed: 0, field: null, component: "magnitude",
  frame: 0, slice: 0, view: "surrogate",
  answer: null,    // of the surrogate: {about, values: name → array}
  solution: null,  // of the simulation, for the same inputs
};

// Anchors of colour maps: viridis; red and blue for what changes sign; violet and orange for errors
const MAPS = {
  sequential: ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"],
  diverging: ["053061", "2166ac", "4393c3", "92c5de", "d1e5f0", "f7f7f7", "fddbc7", "f4a582", "d6604d", "b2182b", "67001f"],
  difference: ["2d004b", "542788", "8073ac", "b2abd2", "d8daeb", "f7f7f7", "fee0b6", "fdb863", "e08214", "b35806", "7f3b08"],
};
const TABLES = Object.fromEntries(Object.entries(MAPS).map(([name, anchors]) => [name, table(anchors)]));

function table(anchors) {
  const colours = anchors.map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  const out = new Uint32Array(256);
  const bytes = new Uint8Array(out.buffer);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (colours.length - 1);
    const low = Math.min(Math.floor(place), colours.length - 2);
    for (let c = 0; c < 3; c++) {
      bytes[4 * i + c] = Math.round(colours[low][c] + (place - low) * (colours[low + 1][c] - colours[low][c]));
    }
    bytes[4 * i + 3] = 255;
  }
  return out;
}

// Words and numbers

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const unitText = (unit) => unit === "1" ? "" : unit.replace(/(?<=[A-Za-z])-?\d+/g, (m) => [...m].map((c) => SUPERSCRIPTS[c]).join(""));
const withUnit = (text, unit) => unit === "1" ? text : `${text} ${unitText(unit)}`;

function number(value, digits = 4) {
  if (value === null || !Number.isFinite(value)) return "not finite";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e");
  return String(Number(value.toPrecision(digits)));
}
const percent = (share) => `${number(100 * share, 2)} %`;
function duration(seconds) {
  if (seconds < 1e-3) return `${number(seconds * 1e6, 3)} µs`;
  return seconds < 1 ? `${number(seconds * 1e3, 3)} ms` : `${number(seconds, 3)} s`;
}

function describe(list, pairs) {
  list.replaceChildren(...pairs.flatMap(([term, value]) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = term;
    dd.textContent = value;
    return [dt, dd];
  }));
}

// The service

class Refusal extends Error {}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  const key = sessionStorage.getItem("key");
  if (key) headers["x-api-key"] = key;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The service does not answer.");
  }
  if (response.status === 401) {
    await askForKey();
    return ask(path, options);
  }
  if (!response.ok) {
    const content = await response.json().catch(() => null);
    throw new Refusal(content?.error?.message ?? `The service answers ${response.status}.`);
  }
  return response;
}

let keyAsked = null;
function askForKey() {
  keyAsked ??= new Promise((resolve) => {
    const dialog = element("key-dialog");
    dialog.addEventListener("close", () => {
      sessionStorage.setItem("key", element("key").value);
      keyAsked = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return keyAsked;
}

function call(operation, accept, fields, signal) {
  const body = { inputs: state.inputs, seed: state.seed, fields };
  return ask(`models/${state.model.name}/${operation}`, {
    method: "POST", signal, body: JSON.stringify(body),
    headers: { "content-type": "application/json", accept },
  });
}

// What is asked for: the chosen field, its band, and all that are numbers or curves of time
function wanted(operation) {
  const model = state.model;
  const chosen = new Set([state.field]);
  for (const [name, field] of Object.entries(model.fields)) if (!field.spatial) chosen.add(name);
  if (operation === "predict") {
    for (const name of [...chosen]) {
      const lines = spaceOf(name) < 2;
      if (lines && model.variables.includes(`${name}_lower`)) chosen.add(`${name}_lower`).add(`${name}_upper`);
    }
  }
  return [...chosen];
}

async function fetchAnswer(operation, signal) {
  const start = performance.now();
  const response = await call(operation, "application/x-npy", wanted(operation), signal);
  const content = await response.arrayBuffer();
  const about = JSON.parse(response.headers.get("x-answer"));
  const values = {};
  let offset = 0;
  for (const name of about.fields) {
    const read = readNpy(content, offset);
    values[name] = read.array;
    offset = read.end;
  }
  return { about, values, roundTrip: (performance.now() - start) / 1e3 };
}

function readNpy(buffer, offset) {
  const view = new DataView(buffer, offset);
  const length = view.getUint16(8, true);
  const head = new TextDecoder("latin1").decode(new Uint8Array(buffer, offset + 10, length));
  const shape = head.match(/'shape': \(([^)]*)\)/)[1].split(",").filter((s) => s.trim()).map(Number);
  const start = offset + 10 + length;
  const size = shape.reduce((a, b) => a * b, 1);
  const data = new Float32Array(buffer.slice(start, start + 4 * size));
  return { array: { shape, data }, end: start + 4 * size };
}

// The newest inputs win: one request at a time, and one more if something has changed meanwhile
let running = null, again = false;

async function update() {
  remember();
  if (running) { again = true; return; }
  running = new AbortController();
  element("canvas").parentElement.classList.add("waiting");
  let asked;
  try {
    do {
      again = false;
      asked = signature();
      const answer = await fetchAnswer("predict", running.signal);
      if (answer.about.model === state.model.name && state.field in answer.values) {
        state.answer = answer;
        show();
      }
    } while (again);
    complain(null);
  } catch (error) {
    complain(error);
  } finally {
    running = null;
    element("canvas").parentElement.classList.remove("waiting");
  }
  if (state.solution && state.solution.signature !== signature()) forgetSolution();
  document.body.dataset.answered = asked;
  show();
}

const signature = () => JSON.stringify([state.model.name, state.inputs, state.seed, state.field]);

function forgetSolution() {
  state.solution = null;
  state.view = "surrogate";
}

async function solve() {
  const button = element("solve");
  button.disabled = true;
  button.textContent = "Solving …";
  const asked = signature();
  try {
    const solution = await fetchAnswer("solve");
    if (asked === signature()) {
      state.solution = { ...solution, signature: asked };
      state.view = "difference";
    }
    complain(null);
  } catch (error) {
    complain(error);
  }
  button.disabled = false;
  button.textContent = "Solve it for real";
  show();
}

function complain(error) {
  if (error?.name === "AbortError") return;
  if (error && !(error instanceof Refusal)) console.error(error);
  element("alert").hidden = !error;
  element("alert").textContent = error ? error.message : "";
}

// Inputs

function buildInputs() {
  const model = state.model;
  const rows = Object.entries(model.parameters).map(([name, parameter]) => {
    const [low, high] = parameter.trained;
    const logarithmic = parameter.scale === "log" && low > 0;
    const toSlider = (v) => Math.round(1000 * (logarithmic ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low)));
    const fromSlider = (s) => logarithmic ? low * (high / low) ** (s / 1000) : low + (high - low) * s / 1000;
    const row = document.createElement("div");
    row.className = "input";
    const id = `p-${name}`;
    const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 1000, step: 1, id: `${id}-slider` });
    slider.setAttribute("aria-label", parameter.description);
    const box = Object.assign(document.createElement("input"), { type: "number", step: "any", id });
    if (parameter.admissible[0] !== null) box.min = parameter.admissible[0];
    if (parameter.admissible[1] !== null) box.max = parameter.admissible[1];
    const label = Object.assign(document.createElement("label"), { htmlFor: id, textContent: parameter.description });
    label.title = `${name}${parameter.unit === "1" ? "" : " in " + unitText(parameter.unit)}`;
    const head = document.createElement("div");
    head.className = "head";
    const ends = document.createElement("div");
    ends.className = "ends";
    const texts = [number(low), parameter.unit === "1" ? (logarithmic ? "logarithmic" : "") : unitText(parameter.unit), number(high)];
    ends.append(...texts.map((text) => Object.assign(document.createElement("span"), { textContent: text })));
    head.append(label, box);
    row.append(head, slider, ends);
    const put = (value, from) => {
      state.inputs[name] = value;
      if (from !== slider) slider.value = toSlider(value);
      slider.setAttribute("aria-valuetext", withUnit(number(value), parameter.unit));
      if (from !== box) box.value = number(value);
    };
    slider.addEventListener("input", () => { put(Number(number(fromSlider(Number(slider.value)))), slider); update(); });
    box.addEventListener("input", () => { if (box.value !== "" && box.checkValidity()) { put(Number(box.value), box); update(); } });
    put(state.inputs[name] ?? parameter.default, null);
    if (low === high) slider.disabled = true;
    return row;
  });
  element("inputs").replaceChildren(...rows);
  const drawn = Object.values(model.field_inputs).map((f) => f.description);
  element("seed-row").hidden = !drawn.length;
  element("drawn").textContent = drawn.join(", ");
  element("seed").value = state.seed;
}

// The field in question

const spaceOf = (name) => state.model.fields[name].spatial ? state.model.axes.length : 0;

// Values of one frame: of a vector the chosen component or the magnitude; in space of 3 one plane
function frameOf(array, frame) {
  const field = state.model.fields[state.field];
  const [, ...rest] = array.shape;
  const space = spaceOf(state.field);
  const parts = rest.slice(space).reduce((a, b) => a * b, 1);
  const points = rest.slice(0, space).reduce((a, b) => a * b, 1);
  let out = new Float32Array(points);
  const start = frame * points * parts;
  const picked = state.component === "magnitude" || Number(state.component) >= parts ? -1 : Number(state.component);
  for (let i = 0; i < points; i++) {
    if (!field.order) out[i] = array.data[start + i];
    else if (picked >= 0) out[i] = array.data[start + i * parts + picked];
    else {
      let sum = 0;
      for (let p = 0; p < parts; p++) sum += array.data[start + i * parts + p] ** 2;
      out[i] = Math.sqrt(sum);
    }
  }
  if (space === 3) {
    const [nx, ny, nz] = rest;
    const plane = new Float32Array(nx * ny);
    for (let i = 0; i < nx * ny; i++) plane[i] = out[i * nz + Math.min(state.slice, nz - 1)];
    out = plane;
  }
  return out;
}

function frames(array) {
  return Array.from({ length: array.shape[0] }, (_, t) => frameOf(array, t));
}

function shownFrames(view) {
  const surrogate = frames(state.answer.values[state.field]);
  if (view === "surrogate" || !state.solution) return surrogate;
  const simulation = frames(state.solution.values[state.field]);
  if (view === "simulation") return simulation;
  return surrogate.map((frame, t) => frame.map((value, i) => value - simulation[t][i]));
}

function span(list) {
  let low = Infinity, high = -Infinity;
  for (const values of list) for (const v of values) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return low <= high ? [low, high] : [0, 1];
}

// Drawing

let geometry = null;  // what the pointer needs to know of the last picture

function draw() {
  if (!state.answer) return;
  const canvas = element("canvas");
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const width = canvas.parentElement.clientWidth;
  const space = spaceOf(state.field);
  const map = space >= 2;
  const [left, right, top, bottom] = map ? [52, 86, 10, 40] : [64, 12, 12, 42];
  let height = Math.min(460, Math.max(260, width * 0.62));
  if (map) {
    const [x, y] = state.model.axes;
    const ratio = (y.bounds[1] - y.bounds[0]) / (x.bounds[1] - x.bounds[0]);
    height = Math.min(Math.max((width - left - right) * ratio, 120), 560) + top + bottom;
  }
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = "12px system-ui, sans-serif";
  let box = { x: left, y: top, w: width - left - right, h: height - top - bottom };
  if (map) {
    const [x, y] = state.model.axes;
    const aspect = (y.bounds[1] - y.bounds[0]) / (x.bounds[1] - x.bounds[0]);
    const w = Math.min(box.w, box.h / aspect);
    box = { ...box, x: box.x + (box.w - w) / 2, w, h: Math.min(box.h, w * aspect) };
  }
  const paint = { pen, box, colour, ratio };
  if (map) drawMap(paint);
  else drawLines(paint, space);
  showReadout();
}

function drawMap(paint) {
  const { pen, box, colour, ratio } = paint;
  const [xAxis, yAxis] = state.model.axes;
  const all = shownFrames(state.view);
  const values = all[Math.min(state.frame, all.length - 1)];
  // One scale for all times, and for the surrogate and the simulation
  let limits = state.view === "difference" ? span(all) : span([...shownFrames("surrogate"), ...(state.solution ? shownFrames("simulation") : [])]);
  let name = "sequential";
  if (state.view === "difference" || (limits[0] < 0 && limits[1] > 0)) {
    const largest = Math.max(-limits[0], limits[1], 1e-30);
    limits = [-largest, largest];
    name = state.view === "difference" ? "difference" : "diverging";
  }
  const colours = TABLES[name];
  const w = Math.max(2, Math.round(box.w * ratio)), h = Math.max(2, Math.round(box.h * ratio));
  const image = new ImageData(w, h);
  const pixels = new Uint32Array(image.data.buffer);
  const columns = stencil(xAxis, w), rows = stencil(yAxis, h);
  const ny = yAxis.points.length;
  const scale = 255 / ((limits[1] - limits[0]) || 1);
  for (let j = 0; j < h; j++) {
    const row = h - 1 - j, b = rows.index[row], v = rows.share[row], b1 = rows.next[row];
    for (let i = 0; i < w; i++) {
      const a = columns.index[i] * ny, a1 = columns.next[i] * ny, u = columns.share[i];
      const value = (1 - u) * ((1 - v) * values[a + b] + v * values[a + b1]) + u * ((1 - v) * values[a1 + b] + v * values[a1 + b1]);
      pixels[j * w + i] = Number.isFinite(value) ? colours[Math.max(0, Math.min(255, Math.round((value - limits[0]) * scale)))] : 0;
    }
  }
  const layer = new OffscreenCanvas(w, h);
  layer.getContext("2d").putImageData(image, 0, 0);
  pen.drawImage(layer, box.x, box.y, box.w, box.h);
  const bar = { x: box.x + box.w + 14, y: box.y, w: 14, h: box.h };
  const steps = Math.max(2, Math.round(bar.h * ratio));
  const strip = new ImageData(1, steps);
  const stripPixels = new Uint32Array(strip.data.buffer);
  for (let j = 0; j < steps; j++) stripPixels[j] = colours[255 - Math.round((255 * j) / (steps - 1))];
  const stripLayer = new OffscreenCanvas(1, steps);
  stripLayer.getContext("2d").putImageData(strip, 0, 0);
  pen.drawImage(stripLayer, bar.x, bar.y, bar.w, bar.h);
  pen.strokeStyle = colour("line");
  pen.strokeRect(bar.x, bar.y, bar.w, bar.h);
  pen.strokeRect(box.x, box.y, box.w, box.h);
  pen.fillStyle = colour("ink");
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  const barTicks = ticks(limits[0], limits[1], Math.max(5, bar.h / 50));
  const zero = Math.max(...barTicks.map(Math.abs)) * 1e-9;
  for (const tick of barTicks) pen.fillText(number(Math.abs(tick) < zero ? 0 : tick, 3), bar.x + bar.w + 5, bar.y + bar.h * (1 - (tick - limits[0]) / (limits[1] - limits[0])));
  axes(paint, xAxis.bounds, yAxis.bounds, withUnitLabel(xAxis), withUnitLabel(yAxis));
  geometry = { box, map: true, values, columns: xAxis.points, rows: yAxis.points, ny, limits };
  crosshair(paint);
}

const withUnitLabel = (axis) => axis.unit === "1" ? axis.name : `${axis.name} in ${unitText(axis.unit)}`;

// Between which points each pixel lies, and where
function stencil(axis, n) {
  const points = axis.points, [low, high] = axis.bounds;
  const periodic = axis.boundary[0] === "periodic";
  const index = new Int32Array(n), next = new Int32Array(n), share = new Float32Array(n);
  let i = 0;
  for (let p = 0; p < n; p++) {
    const x = low + (high - low) * (p + 0.5) / n;
    while (i < points.length - 2 && points[i + 1] <= x) i++;
    if (x >= points[points.length - 1]) {
      index[p] = points.length - 1;
      next[p] = periodic ? 0 : points.length - 1;
      share[p] = periodic ? (x - points[points.length - 1]) / (points[0] + high - low - points[points.length - 1]) : 0;
    } else if (x <= points[0] || points.length === 1) {
      index[p] = next[p] = 0;
    } else {
      index[p] = i;
      next[p] = i + 1;
      share[p] = (x - points[i]) / (points[i + 1] - points[i]);
    }
  }
  return { index, next, share };
}

function drawLines(paint, space) {
  const { pen, box, colour } = paint;
  const axis = state.model.axes[0];
  const x = space ? axis.points : state.model.times;
  const t = Math.min(state.frame, state.model.times.length - 1);
  const curve = (array) => space ? frameOf(array, t) : frames(array).map((f) => f[0]);
  const own = state.answer.values, name = state.field;
  const lines = [];
  let band = null;
  if (state.view === "difference" && state.solution) {
    const a = curve(own[name]), b = curve(state.solution.values[name]);
    lines.push({ values: a.map((v, i) => v - b[i]), colour: colour("surrogate") });
  } else {
    const scalar = !state.model.fields[name].order;
    if (own[`${name}_lower`] && (scalar || state.component !== "magnitude")) band = [curve(own[`${name}_lower`]), curve(own[`${name}_upper`])];
    if (state.solution) lines.push({ values: curve(state.solution.values[name]), colour: colour("solver"), dash: [6, 4], label: "simulation" });
    lines.push({ values: curve(own[name]), colour: colour("surrogate"), label: "surrogate" });
  }
  let limits;
  if (space && state.view !== "difference") limits = span([...shownFrames("surrogate"), ...(state.solution ? shownFrames("simulation") : [])]);
  else limits = span(lines.map((l) => l.values));
  if (band) limits = [Math.min(limits[0], span(band)[0]), Math.max(limits[1], span(band)[1])];
  const margin = 0.05 * ((limits[1] - limits[0]) || Math.abs(limits[0]) || 1);
  limits = [limits[0] - margin, limits[1] + margin];
  const ends = space ? axis.bounds : [x[0], x[x.length - 1]];
  const px = (v) => box.x + box.w * (v - ends[0]) / ((ends[1] - ends[0]) || 1);
  const py = (v) => box.y + box.h * (1 - (v - limits[0]) / (limits[1] - limits[0]));
  pen.strokeStyle = colour("line");
  pen.lineWidth = 1;
  for (const tick of ticks(limits[0], limits[1], box.h / 55)) {
    pen.beginPath();
    pen.moveTo(box.x, py(tick));
    pen.lineTo(box.x + box.w, py(tick));
    pen.stroke();
  }
  pen.save();
  pen.beginPath();
  pen.rect(box.x, box.y, box.w, box.h);
  pen.clip();
  if (band) {
    pen.beginPath();
    band[0].forEach((v, i) => i ? pen.lineTo(px(x[i]), py(v)) : pen.moveTo(px(x[i]), py(v)));
    for (let i = x.length - 1; i >= 0; i--) pen.lineTo(px(x[i]), py(band[1][i]));
    pen.fillStyle = colour("surrogate");
    pen.globalAlpha = 0.2;
    pen.fill();
    pen.globalAlpha = 1;
  }
  for (const line of lines) {
    pen.strokeStyle = line.colour;
    pen.lineWidth = 2;
    pen.setLineDash(line.dash ?? []);
    pen.beginPath();
    Array.from(line.values).forEach((v, i) => i ? pen.lineTo(px(x[i]), py(v)) : pen.moveTo(px(x[i]), py(v)));
    pen.stroke();
  }
  pen.restore();
  pen.setLineDash([]);
  const field = state.model.fields[name];
  const xLabel = space ? withUnitLabel(axis) : (state.model.time_unit === "1" ? "time" : `time in ${unitText(state.model.time_unit)}`);
  axes(paint, ends, limits, xLabel, field.unit === "1" ? name : `${name} in ${unitText(field.unit)}`);
  if (state.solution && state.view !== "difference") {
    pen.textAlign = "right";
    pen.textBaseline = "top";
    lines.forEach((line, i) => {
      pen.fillStyle = line.colour;
      pen.fillText(line.label, box.x + box.w - 6, box.y + 6 + 16 * (lines.length - 1 - i));
    });
  }
  geometry = { box, map: false, x, lines, band, px, py, ends, time: !space };
  crosshair(paint);
}

function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0) || !Number.isFinite(rough)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((s) => s * power).find((s) => s >= rough);
  const out = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) out.push(k * step);
  return out;
}

function axes({ pen, box, colour }, xs, ys, xLabel, yLabel) {
  pen.fillStyle = colour("ink");
  pen.strokeStyle = colour("line");
  pen.lineWidth = 1;
  pen.strokeRect(box.x, box.y, box.w, box.h);
  pen.textAlign = "center";
  pen.textBaseline = "top";
  for (const tick of ticks(xs[0], xs[1], box.w / 90)) pen.fillText(number(tick, 3), box.x + box.w * (tick - xs[0]) / ((xs[1] - xs[0]) || 1), box.y + box.h + 5);
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const tick of ticks(ys[0], ys[1], box.h / 55)) pen.fillText(number(tick, 3), box.x - 6, box.y + box.h * (1 - (tick - ys[0]) / ((ys[1] - ys[0]) || 1)));
  pen.fillStyle = colour("soft");
  pen.textAlign = "center";
  pen.textBaseline = "top";
  pen.fillText(xLabel, box.x + box.w / 2, box.y + box.h + 22);
  pen.save();
  pen.translate(box.x - 48, box.y + box.h / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(yLabel, 0, 0);
  pen.restore();
}

// The point whose value is shown: under the pointer, or moved by arrow keys; shares of the picture
let point = null;

function crosshair({ pen, box, colour }) {
  if (!point) return;
  pen.strokeStyle = colour("ink");
  pen.globalAlpha = 0.5;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(box.x + point[0] * box.w, box.y);
  pen.lineTo(box.x + point[0] * box.w, box.y + box.h);
  if (geometry.map) {
    pen.moveTo(box.x, box.y + point[1] * box.h);
    pen.lineTo(box.x + box.w, box.y + point[1] * box.h);
  }
  pen.stroke();
  pen.globalAlpha = 1;
}

function nearest(points, value) {
  let best = 0;
  for (let i = 1; i < points.length; i++) if (Math.abs(points[i] - value) < Math.abs(points[best] - value)) best = i;
  return best;
}

function showReadout() {
  const out = element("readout");
  if (!point || !geometry) {
    out.textContent = "Point at the picture, or use the arrow keys in it, for values.";
    return;
  }
  const unit = state.model.fields[state.field].unit;
  if (geometry.map) {
    const [x, y] = state.model.axes;
    const i = nearest(geometry.columns, x.bounds[0] + point[0] * (x.bounds[1] - x.bounds[0]));
    const j = nearest(geometry.rows, y.bounds[1] - point[1] * (y.bounds[1] - y.bounds[0]));
    const value = geometry.values[i * geometry.ny + j];
    out.textContent = `${x.name} = ${withUnit(number(geometry.columns[i]), x.unit)}, ${y.name} = ${withUnit(number(geometry.rows[j]), y.unit)}: ${withUnit(number(value), unit)}`;
    return;
  }
  const i = nearest(geometry.x, geometry.ends[0] + point[0] * (geometry.ends[1] - geometry.ends[0]));
  const where = geometry.time ? `t = ${withUnit(number(geometry.x[i]), state.model.time_unit)}` : `${state.model.axes[0].name} = ${withUnit(number(geometry.x[i]), state.model.axes[0].unit)}`;
  const values = geometry.lines.map((line) => `${line.label ? line.label + " " : ""}${withUnit(number(line.values[i]), unit)}`);
  const band = geometry.band ? `, band ${number(geometry.band[0][i])} to ${number(geometry.band[1][i])}` : "";
  out.textContent = `${where}: ${values.reverse().join(", ")}${band}`;
}

// Everything beside the picture

function show() {
  if (!state.answer) return;
  const model = state.model, about = state.answer.about, field = model.fields[state.field];
  element("views").hidden = !state.solution;
  for (const radio of document.querySelectorAll("[name=view]")) radio.checked = radio.value === state.view;
  const names = model.axes.map((a) => a.name);
  element("component-choice").hidden = !field.order;
  if (field.order) {
    const parts = field.order === 1 ? names : names.flatMap((a) => names.map((b) => a + b));
    const options = [["magnitude", "magnitude"], ...parts.map((p, i) => [String(i), p])];
    fillSelect(element("component"), options, state.component);
    state.component = element("component").value;
  }
  const several = model.times.length > 1 && field.spatial;
  element("time-row").hidden = !several;
  if (several) {
    element("time").max = model.times.length - 1;
    element("time").value = state.frame;
    const text = withUnit(number(model.times[state.frame]), model.time_unit);
    element("time-value").textContent = text;
    element("time").setAttribute("aria-valuetext", text);
  }
  const third = spaceOf(state.field) === 3 ? model.axes[2] : null;
  element("slice-row").hidden = !third;
  if (third) {
    element("slice").max = third.points.length - 1;
    element("slice").value = state.slice;
    element("slice-label").textContent = `Plane ${third.name}`;
    element("slice-value").textContent = withUnit(number(third.points[state.slice]), third.unit);
  }
  const badge = element("domain");
  const outside = about.domain.outside, p = about.domain.p_value;
  const unlike = outside.length > 0 || (p !== null && p < model.significance);
  badge.className = `badge ${unlike ? "bad" : "good"}`;
  badge.textContent = outside.length ? `Outside the training range: ${outside.join(", ")}` : unlike ? "Unlike the training inputs" : "Inside the training range";
  element("answered-by").textContent = `Answered by the ${about.answered_by}${about.reason ? `: ${about.reason}` : ""}`;
  const facts = [];
  if (p !== null) facts.push(["p-value of the domain", number(p, 2)]);
  if (about.error_bound) facts.push([`error bound (${number(100 * about.coverage, 3)} %)`, percent(about.error_bound[state.field])]);
  else if (field.test_relative_l2 !== null && field.test_relative_l2 !== undefined) facts.push(["mean test error", percent(field.test_relative_l2)]);
  if (state.solution) facts.push(["true error now", percent(relativeError())]);
  describe(element("facts"), facts);
  showNumbers();
  const timing = [["surrogate", duration(about.seconds)], ["round trip", duration(state.answer.roundTrip)]];
  if (state.solution) {
    const solver = state.solution.about.seconds;
    timing.push(["simulation", duration(solver)], ["speed-up", `${number(solver / about.seconds, 2)} ×`]);
  }
  describe(element("timing"), timing);
  draw();
}

function relativeError() {
  const a = state.answer.values[state.field].data, b = state.solution.values[state.field].data;
  let difference = 0, size = 0;
  for (let i = 0; i < a.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return Math.sqrt(difference / (size || 1));
}

// Fields that are one number: with their band, and what the simulation says
function showNumbers() {
  const rows = [];
  for (const [name, field] of Object.entries(state.model.fields)) {
    const array = state.answer.values[name];
    if (field.spatial || !array || array.data.length !== 1) continue;
    const upper = state.answer.values[`${name}_upper`];
    let text = number(array.data[0]);
    if (upper) text += ` ± ${number(upper.data[0] - array.data[0], 2)}`;
    text = withUnit(text, field.unit);
    const solved = state.solution?.values[name];
    if (solved) text += ` (simulation ${number(solved.data[0])})`;
    rows.push([field.description, text]);
  }
  element("numbers-title").hidden = !rows.length;
  describe(element("numbers"), rows);
}

function fillSelect(select, options, chosen) {
  const same = select.options.length === options.length && options.every(([value], i) => select.options[i].value === value);
  if (!same) select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  select.value = options.some(([value]) => value === chosen) ? chosen : options[0][0];
}

// A link to what is seen

function remember() {
  const entries = { model: state.model.name, ...prefixed(state.inputs), seed: state.seed, field: state.field, part: state.component, frame: state.frame };
  history.replaceState(null, "", `#${new URLSearchParams(entries)}`);
}
const prefixed = (inputs) => Object.fromEntries(Object.entries(inputs).map(([k, v]) => [`p.${k}`, v]));

function choose(name, link = new URLSearchParams()) {
  const model = state.models.find((m) => m.name === name) ?? state.models[0];
  state.model = model;
  state.inputs = {};
  for (const [key, parameter] of Object.entries(model.parameters)) {
    const given = link.has(`p.${key}`) ? Number(link.get(`p.${key}`)) : NaN;
    const [low, high] = parameter.admissible;
    const allowed = Number.isFinite(given) && (low === null || given >= low) && (high === null || given <= high);
    state.inputs[key] = allowed ? given : parameter.default;
  }
  const whole = (key, most) => { const v = Number(link.get(key) ?? NaN); return Number.isInteger(v) && v >= 0 && v <= most ? v : null; };
  state.seed = whole("seed", 2 ** 53 - 1) ?? 0;
  state.frame = whole("frame", model.times.length - 1) ?? model.times.length - 1;
  const drawable = Object.keys(model.fields).filter(isDrawable);
  const fields = drawable.length ? drawable : Object.keys(model.fields);
  state.field = fields.includes(link.get("field")) ? link.get("field") : fields[0];
  state.component = link.get("part") ?? "magnitude";
  state.slice = model.axes.length === 3 ? Math.floor(model.axes[2].points.length / 2) : 0;
  state.answer = state.solution = point = null;
  state.view = "surrogate";
  element("title").textContent = model.name;
  document.title = `${model.name} – physurrogate`;
  element("summary").textContent = `${model.system}: ${model.summary}`;
  element("package").textContent = model.package;
  element("solving").hidden = !model.can_solve;
  fillSelect(element("field"), fields.map((f) => [f, model.fields[f].description]), state.field);
  buildInputs();
  return update();
}

// A field that is one number has nothing to draw
function isDrawable(name) {
  const field = state.model.fields[name];
  return field.spatial ? state.model.axes.length > 0 || state.model.times.length > 1 : state.model.times.length > 1;
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function download(accept, ending) {
  try {
    const names = accept.endsWith("npy") ? [state.field] : null;
    const operation = state.solution && state.view === "simulation" ? "solve" : "predict";
    save(await (await call(operation, accept, names)).blob(), `${state.model.name}.${ending}`);
    complain(null);
  } catch (error) {
    complain(error);
  }
}

function listen() {
  element("model").addEventListener("change", (e) => choose(e.target.value));
  element("inputs").addEventListener("submit", (e) => e.preventDefault());
  element("field").addEventListener("change", (e) => { state.field = e.target.value; forgetSolution(); update(); });
  element("component").addEventListener("change", (e) => { state.component = e.target.value; remember(); draw(); });
  element("time").addEventListener("input", (e) => { state.frame = Number(e.target.value); remember(); show(); });
  element("slice").addEventListener("input", (e) => { state.slice = Number(e.target.value); show(); });
  element("seed").addEventListener("input", (e) => { if (e.target.value !== "" && e.target.checkValidity()) { state.seed = Number(e.target.value); update(); } });
  element("draw").addEventListener("click", () => { state.seed = Math.floor(Math.random() * 1e6); element("seed").value = state.seed; update(); });
  element("reset").addEventListener("click", () => choose(state.model.name));
  element("solve").addEventListener("click", solve);
  element("share").addEventListener("click", share);
  element("netcdf").addEventListener("click", () => download("application/x-netcdf", "nc"));
  element("npy").addEventListener("click", () => download("application/x-npy", "npy"));
  element("png").addEventListener("click", () => element("canvas").toBlob((blob) => save(blob, `${state.model.name}.png`)));
  for (const radio of document.querySelectorAll("[name=view]")) radio.addEventListener("change", () => { state.view = radio.value; show(); });
  const canvas = element("canvas");
  const follow = (event) => {
    if (!geometry) return;
    const frame = canvas.getBoundingClientRect(), { box } = geometry;
    const x = (event.clientX - frame.left - box.x) / box.w, y = (event.clientY - frame.top - box.y) / box.h;
    point = x >= 0 && x <= 1 && y >= 0 && y <= 1 ? [x, y] : null;
    draw();
  };
  canvas.addEventListener("pointermove", follow);
  canvas.addEventListener("pointerdown", follow);
  canvas.addEventListener("pointerleave", () => { point = null; draw(); });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const size = event.shiftKey ? 0.1 : 0.02, from = point ?? [0.5, 0.5];
    point = from.map((v, i) => Math.min(1, Math.max(0, v + size * step[i])));
    draw();
  });
  new ResizeObserver(() => draw()).observe(canvas.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  addEventListener("hashchange", () => { const link = new URLSearchParams(location.hash.slice(1)); choose(link.get("model"), link); });
}

async function share() {
  remember();
  const button = element("share");
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Link is in the address bar";
  }
  setTimeout(() => { button.textContent = "Copy link"; }, 2000);
}

async function start() {
  try {
    state.models = (await (await ask("models")).json()).models;
  } catch (error) {
    complain(error);
    return;
  }
  fillSelect(element("model"), state.models.map((m) => [m.name, m.name]), null);
  element("model-choice").hidden = state.models.length < 2;
  listen();
  const link = new URLSearchParams(location.hash.slice(1));
  await choose(link.get("model"), link);
  element("model").value = state.model.name;
}

start();
