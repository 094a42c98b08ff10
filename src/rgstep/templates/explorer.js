// Shows the pictures <v h> of a report: data from rgstep/explorer.py, no server, no other script.
// rgstepExplorer(root, text) builds everything within `root`, which is hidden until then.
function rgstepExplorer(root, text) {
  "use strict";
  if (typeof DecompressionStream === "undefined") return; // the static pictures are there
  const data = JSON.parse(text);
  const sets = [...data.maps, ...data.example];
  const MODES = {
    raw: ["plain", "⟨v h⟩ as measured"],
    connected: ["connected", "⟨v h⟩ − ⟨v⟩⟨h⟩"],
    flattened: ["mean subtracted", "⟨v h⟩ less its mean over the sites of each picture"],
    beta: ["β", "what the unit takes of each spin itself: β = C⁻¹⟨v h⟩"],
    weights: ["weights", "W of a network"],
  };
  const SORTS = {
    index: "number",
    extent: "extent, smallest first",
    contrast: "contrast, largest first",
    corr: "|correlation with M|, largest first",
    dead: "dead units first",
  };
  const first = Math.max(0, data.maps.findIndex((set) => set.kind !== "control"));
  const ruled = data.maps.findIndex((set) => set.name === "majority" && set.level === 1);
  const state = {
    maps: [first, ruled === first ? -1 : ruled], units: [0, 0], site: 0, mode: "raw", errors: false, scale: "common", sort: "index", example: 0,
  };
  let turn = 0; // of redraws: what is decoded late for an older one is dropped

  // --- small helpers

  function make(tag, options = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(options)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "class") node.className = value;
      else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }
  let count = 0;
  const unique = (stem) => `rgx-${stem}-${(count += 1)}-${Math.random().toString(36).slice(2, 7)}`;
  const minus = (words) => String(words).replace(/-/g, "−");
  const plain = (value, digits = 3) => minus((Math.abs(value) < 10 ** -digits / 2 ? 0 : value).toFixed(digits));
  function withError(value, error) {
    if (!Number.isFinite(error)) return plain(value, 3);
    if (!(error > 0)) return `${plain(value, 3)} ± 0`;
    const digits = Math.min(8, Math.max(0, 1 - Math.floor(Math.log10(error))));
    return `${plain(value, digits)} ± ${error.toFixed(digits)}`;
  }
  const title = (set) => (set.level > 1 ? `${set.name}, level ${set.level}` : set.name);

  // --- from text to numbers: the reverse of rgstep/explorer.py

  const worth = new Map([...data.letters].map((letter, i) => [letter.charCodeAt(0), i]));
  function bytesOf(length, letters) {
    const out = new Uint8Array(length);
    let held = 0, bits = 0, at = 0;
    for (let i = 0; i + 1 < letters.length && at < length; i += 2) {
      held = (held << 13) | (worth.get(letters.charCodeAt(i)) * data.letters.length + worth.get(letters.charCodeAt(i + 1)));
      bits += 13;
      while (bits >= 8 && at < length) {
        bits -= 8;
        out[at] = (held >> bits) & 255;
        at += 1;
      }
      held &= (1 << bits) - 1;
    }
    return out;
  }
  async function inflated([length, letters]) {
    const stream = new Blob([bytesOf(length, letters)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }
  async function whole(pack) {
    const low = await inflated(pack.low), high = pack.high ? await inflated(pack.high) : null;
    const out = new Int32Array(low.length);
    for (let i = 0; i < low.length; i += 1) {
      const folded = low[i] + (high ? high[i] << 8 : 0);
      out[i] = folded & 1 ? -(folded + 1) / 2 : folded / 2;
    }
    return out;
  }
  const scaled = async (pack, scale) =>
    pack && Float64Array.from(await whole(pack), (value) => (value === data.noNumber ? NaN : value * scale));
  const exponentials = async (pack) =>
    pack && Float64Array.from(await whole(pack), (value) =>
      value === data.noNumber ? NaN : value === data.zero ? 0 : Math.exp(value / data.perE));

  function unforetold(rest, set, gains) {
    const size = set.size, sites = size * size, out = new Int32Array(rest.length);
    const missed = new Float64Array(data.leaders * sites);
    const own = data.own.length, terms = [...data.own, ...data.beside];
    for (let unit = 0; unit < set.shown; unit += 1) {
      for (let row = 0; row < size; row += 1) {
        for (let column = 0; column < size; column += 1) {
          let sum = 0;
          for (let k = 0; k < terms.length; k += 1) {
            const before = k >= own;
            let r = row + terms[k][0], c = column + terms[k][1];
            if (before ? unit === 0 : r < 0 || (terms[k][0] === 0 && c < 0)) continue;
            r = (r + size) % size;
            c = (c + size) % size;
            sum += set.coefficients[k] * out[(before ? unit - 1 : unit) * sites + r * size + c];
          }
          const here = row * size + column, at = unit * sites + here;
          let common = 0;
          for (let k = 0; k < Math.min(unit, data.leaders); k += 1) {
            common += gains[unit * data.leaders + k] * missed[k * sites + here];
          }
          out[at] = rest[at] + Math.floor((sum + Math.floor(common / data.gain) + data.fixed / 2) / data.fixed);
          if (unit < data.leaders) missed[at] = data.fixed * out[at] - sum;
        }
      }
    }
    return out;
  }

  async function decode(set) {
    const spins = set.kind === "example" ? set : data;
    const [rest, alpha, gamma, connected, flattened, corr, radius, core, row, column, meanV, meanH, v, h, w, gains] =
      await Promise.all([
        whole(set.vh), exponentials(set.alpha), exponentials(set.gamma), exponentials(set.connected),
        exponentials(set.flattened), scaled(set.corr, 1e-3), scaled(set.radius, 1e-2), scaled(set.core, 1e-3),
        scaled(set.row, 0.1), scaled(set.column, 0.1), scaled(spins.meanV, 1e-4),
        scaled(set.meanH, set.meanUnit), set.exampleH && spins.exampleV && whole(spins.exampleV),
        scaled(set.exampleH, set.exampleUnit), scaled(set.weights, set.weightStep),
        whole(set.gains),
      ]);
    const levels = unforetold(rest, set, gains), vh = Float64Array.from(levels, (value) => value * set.step);
    const found = {
      set, size: set.size, sites: set.size ** 2, side: Math.ceil(Math.sqrt(set.units)), shown: set.shown,
      factors: { raw: null, connected, flattened }, alpha, gamma, corr, radius, core, row, column, meanV, meanH, v, h,
      examples: spins.examples,
      fields: { raw: vh, weights: w },
    };
    found.look = looks(found);
    return found;
  }

  function looks(map) {
    // What can be read off each picture: contrast, extent, sign of the mean, amplitude.
    const found = { contrast: [], extent: [], mean: [], amplitude: [] };
    for (let unit = 0; unit < map.shown; unit += 1) {
      const picture = map.fields.raw.subarray(unit * map.sites, (unit + 1) * map.sites);
      let least = Infinity, most = -Infinity, sum = 0, two = 0, four = 0;
      for (const p of picture) {
        least = Math.min(least, p);
        most = Math.max(most, p);
        sum += p;
        two += p * p;
        four += p ** 4;
      }
      found.contrast.push(most - least);
      found.extent.push(four > 0 ? two ** 2 / four : 0);
      found.mean.push(sum / map.sites);
      found.amplitude.push(Math.max(most, -least));
    }
    return found;
  }

  const decoded = new Map();
  function load(index) {
    if (!decoded.has(index)) decoded.set(index, decode(sets[index]));
    return decoded.get(index);
  }

  // --- what is shown of a map

  function available(map, mode) {
    if (mode === "connected") return Boolean(map.meanV && map.meanH);
    if (mode === "beta") return Boolean(data.inverse && map.size === data.size);
    return mode !== "weights" || Boolean(map.fields.weights);
  }
  function field(map, mode) {
    const own = available(map, mode) ? mode : "raw";
    if (!map.fields[own]) map.fields[own] = own === "beta" ? readings(map) : subtracted(map, own);
    return map.fields[own];
  }
  function subtracted(map, mode) {
    const out = map.fields.raw.slice();
    for (let unit = 0; unit < map.shown; unit += 1) {
      for (let i = 0; i < map.sites; i += 1) {
        out[unit * map.sites + i] -= mode === "connected" ? map.meanV[i] * map.meanH[unit] : map.look.mean[unit];
      }
    }
    return out;
  }
  function readings(map) {
    const size = map.size, out = new Float64Array(map.fields.raw.length), inverse = data.inverse;
    for (let unit = 0; unit < map.shown; unit += 1) {
      const picture = map.fields.raw.subarray(unit * map.sites, (unit + 1) * map.sites);
      for (let r = 0; r < size; r += 1) {
        for (let c = 0; c < size; c += 1) {
          let sum = 0;
          for (let y = 0; y < size; y += 1) {
            const line = inverse[(r - y + size) % size];
            for (let x = 0; x < size; x += 1) sum += line[(c - x + size) % size] * picture[y * size + x];
          }
          out[unit * map.sites + r * size + c] = sum;
        }
      }
    }
    return out;
  }
  function errorOf(map, mode, unit, site) {
    if (mode === "weights" && map.fields.weights) return map.set.weightStep / Math.sqrt(12);
    const p = map.fields.raw[unit * map.sites + site];
    const form = Math.sqrt(Math.max(map.alpha[unit] - map.gamma[unit] * p * p, 0.1 * map.alpha[unit]));
    if (mode === "beta" && available(map, mode)) {
      return Math.sqrt(map.alpha[unit] * data.inverse[0][0]) * (map.factors.connected ? map.factors.connected[unit] : 1);
    }
    return form * (map.factors[mode] ? map.factors[mode][unit] : 1);
  }
  function shown(map, unit, site) {
    const value = field(map, state.mode)[unit * map.sites + site];
    if (!state.errors || state.mode === "weights" || map.set.kind === "example") return value;
    const error = errorOf(map, state.mode, unit, site);
    return error > 0 ? value / error : 0;
  }
  function strength(map, unit, mode) {
    // rms of a picture in standard errors: 1 for one that holds nothing but noise
    let sum = 0;
    for (let i = 0; i < map.sites; i += 1) {
      const error = errorOf(map, mode, unit, i);
      sum += error > 0 ? (field(map, mode)[unit * map.sites + i] / error) ** 2 : 0;
    }
    return Math.sqrt(sum / map.sites);
  }
  const grade = (r, clear, some) => (r > clear ? "above noise" : r > some ? "hardly above noise" : "no more than noise");
  function overall(map, unit, mode) {
    const r = strength(map, unit, mode);
    return `${plain(r, 1)} standard errors, rms over the sites; noise alone has 1: ${grade(r, 2, 1.4)}`;
  }
  function peak(map, unit) {
    // of β, which a local unit has on a few sites: the largest, and that of as many sites of nothing but noise
    let most = 0;
    for (let i = 0; i < map.sites; i += 1) most = Math.max(most, Math.abs(field(map, "beta")[unit * map.sites + i]));
    const r = most / errorOf(map, "beta", unit, 0), noise = Math.sqrt(2 * Math.log(map.sites));
    return `${plain(r, 1)} standard errors at the largest; noise alone has about ${plain(noise, 1)} in ${map.sites} sites: ${grade(r, noise + 2, noise + 1)}`;
  }
  function limit(map, units) {
    let most = 0;
    for (const unit of units) for (let i = 0; i < map.sites; i += 1) most = Math.max(most, Math.abs(shown(map, unit, i)));
    return most || 1;
  }
  const every = (map) => Array.from({ length: map.shown }, (_, i) => i);
  const dead = (map, unit) => (map.set.dead || []).includes(unit);
  const faint = (map, unit) => map.radius && Number.isNaN(map.radius[unit]);
  function sorted(map) {
    const key = {
      index: (u) => u,
      extent: (u) => map.look.extent[u],
      contrast: (u) => -map.look.contrast[u],
      corr: (u) => (map.corr ? -Math.abs(map.corr[u]) : u),
      dead: (u) => (dead(map, u) ? 0 : faint(map, u) ? 1 : 2),
    }[state.sort];
    return every(map).sort((a, b) => key(a) - key(b) || a - b);
  }

  // --- colours: blue below 0, white at 0, red above, as in the figures

  const RAMP = [
    [5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [209, 229, 240], [247, 247, 247],
    [253, 219, 199], [244, 165, 130], [214, 96, 77], [178, 24, 43], [103, 0, 31],
  ];
  function colour(share) {
    const at = Math.min(10, Math.max(0, 5 + 5 * share)), i = Math.min(9, Math.floor(at)), f = at - i;
    return RAMP[i].map((low, k) => low + f * (RAMP[i + 1][k] - low));
  }
  const SHADES = Array.from({ length: 513 }, (_, i) => colour((i - 256) / 256));
  function paint(image, at, value, most) {
    const rgb = Number.isFinite(value)
      ? SHADES[Math.round(256 * Math.min(1, Math.max(-1, value / most))) + 256]
      : [150, 150, 150];
    image.data.set([rgb[0], rgb[1], rgb[2], 255], 4 * at);
  }

  // --- one picture of cells: pointer and keyboard move a cursor over it, click and Enter choose

  const said = make("p", { class: "rgx-said", "aria-live": "polite" });
  function board(name, { move, pick }) {
    const canvas = make("canvas", { "aria-hidden": "true" }), cursor = make("span", { class: "rgx-cursor" });
    const chosen = make("span", { class: "rgx-chosen" }), readout = make("p", { class: "rgx-readout", id: unique("out") });
    const box = make("div", {
      class: "rgx-board", tabindex: "0", role: "application", "aria-roledescription": "picture",
      "aria-describedby": readout.id,
    }, canvas, chosen, cursor);
    const heading = make("figcaption", {});
    const node = make("figure", { class: "rgx-figure", "data-board": name }, heading, box, readout);
    const self = { node, box, canvas, readout, rows: 1, columns: 1, cells: 1, at: 0 };
    const place = (mark, cell) => {
      mark.style.width = `${100 / self.columns}%`;
      mark.style.height = `${100 / self.rows}%`;
      mark.style.left = `${(100 * (cell % self.columns)) / self.columns}%`;
      mark.style.top = `${(100 * Math.floor(cell / self.columns)) / self.rows}%`;
    };
    self.go = (cell, aloud) => {
      self.at = Math.min(self.cells - 1, Math.max(0, cell));
      place(cursor, self.at);
      readout.textContent = move(self.at);
      if (aloud) said.textContent = readout.textContent;
    };
    self.show = (rows, columns, cells, words, label) => {
      Object.assign(self, { rows, columns, cells });
      heading.textContent = words;
      box.setAttribute("aria-label", label);
    };
    self.choose = (cell) => {
      chosen.hidden = cell < 0;
      if (cell < 0) return;
      place(chosen, cell);
      self.go(cell, false);
    };
    const under = (event) => {
      const area = canvas.getBoundingClientRect();
      const column = Math.floor((self.columns * (event.clientX - area.left)) / area.width);
      const row = Math.floor((self.rows * (event.clientY - area.top)) / area.height);
      const inside = column >= 0 && row >= 0 && column < self.columns && row < self.rows;
      const cell = row * self.columns + column;
      return inside && cell < self.cells ? cell : -1;
    };
    for (const kind of ["pointermove", "pointerdown"]) {
      box.addEventListener(kind, (event) => {
        const cell = under(event);
        if (cell >= 0) self.go(cell, false);
      });
    }
    box.addEventListener("click", (event) => {
      const cell = under(event);
      if (cell >= 0) pick(cell);
    });
    box.addEventListener("keydown", (event) => {
      const steps = {
        ArrowLeft: -1, ArrowRight: 1, ArrowUp: -self.columns, ArrowDown: self.columns,
        Home: -self.at, End: self.cells - 1 - self.at,
      };
      if (event.key in steps) {
        const next = self.at + steps[event.key];
        if (next >= 0 && next < self.cells) self.go(next, true);
      } else if (event.key === "Enter" || event.key === " ") pick(self.at);
      else return;
      event.preventDefault();
    });
    return self;
  }
  function draw(self, width, height, value, most) {
    self.canvas.width = width;
    self.canvas.height = height;
    const context = self.canvas.getContext("2d"), image = context.createImageData(width, height);
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const found = value(x, y);
        if (found !== undefined) paint(image, y * width + x, found, most);
      }
    }
    context.putImageData(image, 0, 0);
    self.box.classList.toggle("rgx-fine", width > 300); // drawn smaller than it is: smoothed, or lines come and go
  }
  function thumbnails(self, map, units, most) {
    const columns = Math.ceil(Math.sqrt(units.length)), rows = Math.ceil(units.length / columns), cell = map.size + 2;
    draw(self, columns * cell, rows * cell, (x, y) => {
      const unit = units[Math.floor(y / cell) * columns + Math.floor(x / cell)];
      const r = (y % cell) - 1, c = (x % cell) - 1;
      if (unit === undefined || r < 0 || c < 0 || r >= map.size || c >= map.size) return undefined;
      return shown(map, unit, r * map.size + c);
    }, most(units));
    return [rows, columns];
  }

  // --- one map: all units, one unit, one site, its numbers, and a configuration beside its h

  const nameOf = (map, unit) => (map.set.which ? map.set.which[unit] : unit) + 1;
  const ownOf = (map, unit) => (map.set.which ? map.set.which.indexOf(unit) : unit < map.shown ? unit : -1);
  const site = (map, i) => `row ${Math.floor(i / map.size) + 1}, column ${(i % map.size) + 1}`;
  const isExample = (map) => map.set.kind === "example"; // two configurations: errors would mean nothing
  function value(map, unit, i) {
    const number = field(map, state.mode)[unit * map.sites + i], error = errorOf(map, state.mode, unit, i);
    if (state.mode === "weights" && map.fields.weights) return `${plain(number, 3)} ± ${(map.set.weightStep / 2).toPrecision(1)} by rounding`;
    if (isExample(map)) return plain(number, 2);
    const known = error > 0 ? ` (${plain(number / error, 1)} standard errors)` : "";
    return `${withError(number, error)}${known}`;
  }

  function card(slot) {
    const self = { map: null, order: [] };
    const heading = make("h4", { class: "rgx-map" }), about = make("p", { class: "rgx-about" });
    const facts = make("dl", { class: "rgx-facts" }), note = make("p", { class: "rgx-note" });
    const legend = make("div", { class: "rgx-legend" }, make("span"), make("i"), make("span"));
    const all = board("units", {
      move: (cell) => (self.map ? aboutUnit(self.map, self.order[cell]) : ""),
      pick: (cell) => change(() => (state.units[slot] = self.order[cell])),
    });
    const one = board("picture", {
      move: (cell) => (self.map ? `${site(self.map, cell)}: ${value(self.map, self.unit, cell)}` : ""),
      pick: (cell) => change(() => (state.site = cell)),
    });
    const who = board("site", {
      move: (cell) => (self.map && cell < self.map.shown ? `unit ${nameOf(self.map, cell)}: ${value(self.map, cell, self.site)}` : ""),
      pick: (cell) => change(() => (state.units[slot] = cell)),
    });
    const spins = board("v", {
      move: (cell) => (self.map && self.map.v ? `${site(self.map, cell)}: v = ${minus(self.map.v[self.example * self.map.sites + cell])}` : ""),
      pick: (cell) => change(() => (state.site = cell)),
    });
    const hidden = board("h", {
      move: (cell) => (self.map && self.map.h ? `unit ${cell + 1}: h = ${plain(self.map.h[self.example * self.map.set.units + cell], 2)}` : ""),
      pick: (cell) => change(() => (state.units[slot] = Math.max(ownOf(self.map, cell), 0))),
    });
    const another = make("button", { type: "button", onclick: () => change(() => (state.example += 1)) }, "another configuration");
    self.beside = make("details", { class: "rgx-example" }, make("summary", {}, "one configuration v beside its h"),
      make("div", { class: "rgx-row" }, spins.node, hidden.node), another);
    self.node = make("section", { class: "rgx-card" }, heading, about, legend,
      make("div", { class: "rgx-row" }, all.node, one.node, who.node), facts, note, self.beside);
    self.boards = { all, one, who, spins, hidden };

    self.show = (map, common) => {
      self.map = map;
      self.unit = Math.min(state.units[slot], map.shown - 1);
      self.site = Math.min(state.site, map.sites - 1);
      self.example = map.v ? state.example % map.examples : 0;
      self.order = sorted(map);
      self.node.setAttribute("aria-label", title(map.set));
      heading.textContent = title(map.set);
      const known = map.set.kind === "control" ? "a control" : map.set.kind;
      about.textContent = [map.set.verdict && `${known}: ${map.set.verdict}`, map.set.about].filter(Boolean).join(" · ");
      const own = state.scale === "own", every = own ? limit(map, [self.unit]) : common;
      const most = (units) => (own ? limit(map, units) : common);
      const what = `${MODES[available(map, state.mode) ? state.mode : "raw"][0]}${state.errors ? ", in standard errors" : ""}`;
      const grid = thumbnails(all, map, self.order, most);
      const part = map.shown < map.set.units ? `${map.shown} of ${map.set.units}` : `all ${map.set.units}`;
      all.show(...grid, map.shown, `${part} units`, `${part} units of ${title(map.set)}; arrows move, Enter chooses a unit`);
      all.choose(self.order.indexOf(self.unit));
      draw(one, map.size, map.size, (x, y) => shown(map, self.unit, y * map.size + x), every);
      one.show(map.size, map.size, map.sites, `unit ${nameOf(map, self.unit)}, ${what}`, `picture of unit ${nameOf(map, self.unit)}, ${what}; arrows move, Enter chooses a site`);
      one.choose(self.site);
      const side = Math.ceil(Math.sqrt(map.shown)), rows = Math.ceil(map.shown / side);
      let far = 0;
      for (let u = 0; u < map.shown; u += 1) far = Math.max(far, Math.abs(shown(map, u, self.site)));
      draw(who, side, rows, (x, y) => (y * side + x < map.shown ? shown(map, y * side + x, self.site) : undefined), own ? far || 1 : common);
      who.show(rows, side, map.shown, `${site(map, self.site)}: who knows it`, `the site in ${site(map, self.site)} as ${part} units see it; arrows move, Enter chooses a unit`);
      who.choose(self.unit);
      legend.children[0].textContent = minus((-every).toPrecision(2));
      legend.children[2].textContent = every.toPrecision(2);
      tell(map);
      self.beside.hidden = !map.v;
      if (map.v) besides(map);
    };
    function tell(map) {
      const u = self.unit, rows = [
        ["sign", map.look.mean[u] < 0 ? "follows −v" : "follows v"],
        ["amplitude", `${plain(map.look.amplitude[u])}, largest |⟨v h⟩|`],
        ["contrast", `${plain(map.look.contrast[u])}, largest less smallest`],
        ["extent", `${plain(map.look.extent[u], 0)} of ${map.sites} sites (participation)`],
      ];
      if (map.corr) rows.push(["correlation with M", plain(map.corr[u], 3)]);
      if (map.row && !Number.isNaN(map.row[u])) rows.push(["place", `row ${plain(map.row[u] + 1, 1)}, column ${plain(map.column[u] + 1, 1)}`]);
      if (map.radius && !Number.isNaN(map.radius[u])) rows.push(["radius of β²", `${plain(map.radius[u], 2)} sites; ${plain(100 * map.core[u], 0)} % near its place`]);
      if (dead(map, u)) rows.push(["dead", "h never changes"]);
      else if (faint(map, u)) rows.push(["β", "does not stand out of the noise"]);
      if (state.mode !== "weights" && !isExample(map)) {
        const mode = available(map, state.mode) ? state.mode : "raw";
        rows.push(["strength", mode === "beta" ? peak(map, u) : overall(map, u, mode)]);
      }
      facts.replaceChildren(...rows.map(([term, words]) => make("div", {}, make("dt", {}, term), make("dd", {}, words))));
      const words = [];
      if (!available(map, state.mode)) words.push(`${MODES[state.mode][0]}: not known of this map, plain pictures are shown.`);
      if (state.mode === "beta" && available(map, "beta")) words.push("β is found here from ⟨v h⟩; the report's numbers of tiles come from a β with less noise.");
      if (map.shown < map.set.units) words.push(`This page has room for ${map.shown} of its ${map.set.units} units; rgstep.explore(report) shows all.`);
      words.push(isExample(map) ? "Two configurations have no errors worth the name." :
        `⟨v h⟩ is rounded to ±${(map.set.step / 2).toPrecision(1)}; errors are the report's jackknife errors, smoothed over each picture ` +
        `(they differ by ${plain(100 * map.set.roughness, 0)} %, rms).`);
      note.textContent = words.join(" ");
    }
    function besides(map) {
      draw(spins, map.size, map.size, (x, y) => map.v[self.example * map.sites + y * map.size + x], 1.6);
      spins.show(map.size, map.size, map.sites, `configuration ${self.example + 1}: v`, "a configuration of spins");
      spins.choose(self.site);
      const units = map.set.units, h = map.h.subarray(self.example * units, (self.example + 1) * units);
      const most = Math.max(...h.map(Math.abs), 1e-9);
      draw(hidden, map.side, Math.ceil(units / map.side), (x, y) => (y * map.side + x < units ? h[y * map.side + x] : undefined), 1.6 * most);
      hidden.show(Math.ceil(units / map.side), map.side, units, "its h, unit by unit", "the hidden variables of the configuration");
      hidden.choose(nameOf(map, self.unit) - 1);
      another.hidden = map.examples < 2;
    }
    return self;
  }
  function aboutUnit(map, unit) {
    const corr = map.corr ? `, correlation with M ${plain(map.corr[unit], 2)}` : "";
    return `unit ${nameOf(map, unit)}: contrast ${plain(map.look.contrast[unit], 3)}, extent ${plain(map.look.extent[unit], 0)} sites${corr}`;
  }

  // --- what is asked for

  function chooser(label, options, value, changed) {
    const id = unique("choose");
    const select = make("select", { id, onchange: (event) => change(() => changed(event.target.value)) }, ...options);
    select.value = value;
    return [make("span", { class: "rgx-choice" }, make("label", { for: id }, label), select), select];
  }
  const option = (value, words) => make("option", { value }, words);
  function mapOptions(none) {
    const one = (list, offset) => list.map((set, i) => option(String(i + offset), title(set)));
    const groups = [make("optgroup", { label: "maps of this report" }, ...one(data.maps, 0)),
      make("optgroup", { label: "worked example" }, ...one(data.example, data.maps.length))];
    return none ? [option("-1", "none"), ...groups] : groups;
  }
  const [mapA, selectA] = chooser("map", mapOptions(false), String(state.maps[0]), (v) => (state.maps[0] = Number(v)));
  const [mapB, selectB] = chooser("beside", mapOptions(true), String(state.maps[1]), (v) => (state.maps[1] = Number(v)));
  const [mode, selectMode] = chooser("show", Object.entries(MODES).map(([key, [name]]) => option(key, name)), "raw", (v) => (state.mode = v));
  const [scale, selectScale] = chooser("colours", [option("common", "one scale for all"), option("own", "each its own scale")], "common", (v) => (state.scale = v));
  const [sort, selectSort] = chooser("sort units by", Object.entries(SORTS).map(([key, name]) => option(key, name)), "index", (v) => (state.sort = v));
  const inErrors = make("input", { type: "checkbox", id: unique("errors"), onchange: (event) => change(() => (state.errors = event.target.checked)) });
  const errors = make("span", { class: "rgx-choice" }, inErrors, make("label", { for: inErrors.id }, "in standard errors"));
  const meaning = make("p", { class: "rgx-note" });
  const cards = [card(0), card(1)];

  async function redraw() {
    const mine = (turn += 1);
    const maps = await Promise.all(state.maps.map((index) => (index < 0 ? null : load(index))));
    if (mine !== turn) return;
    const some = maps.filter(Boolean);
    const common = Math.max(...some.map((map) => limit(map, every(map))));
    maps.forEach((map, slot) => {
      cards[slot].node.hidden = !map;
      if (map) cards[slot].show(map, common);
    });
    board_.classList.toggle("rgx-two", some.length === 2);
    [selectA.value, selectB.value] = state.maps.map(String);
    Object.assign(selectMode, { value: state.mode });
    Object.assign(selectScale, { value: state.scale });
    Object.assign(selectSort, { value: state.sort });
    inErrors.checked = state.errors;
    const words = MODES[state.mode][1];
    meaning.textContent = `Shown: ${words}${state.errors ? ", divided by its standard error" : ""}. Red is above 0, blue below.`;
    root.dataset.ready = String(turn);
  }
  function change(what) {
    what();
    return redraw();
  }
  const board_ = make("div", { class: "rgx-cards" }, cards[0].node, cards[1].node);

  // --- tours: some words and a state for each step

  const find = (test) => data.maps.findIndex((set) => set.level === 1 && test(set));
  const nullOf = (set) => {
    const own = find((other) => other.name === `${set.name}@untrained`);
    return own >= 0 ? own : find((other) => other.untrained);
  };
  const isTrained = (set) => Boolean(set.weights) && !set.untrained && set.level === 1;
  const fresh = { mode: "raw", errors: false, scale: "common", sort: "index", units: [0, 0], site: 0, example: 0 };
  function product(map, unit, i) {
    // ⟨v h⟩ of the worked example written out, from its configurations
    const terms = [];
    let sum = 0;
    for (let k = 0; k < map.examples; k += 1) {
      const v = map.v[k * map.sites + i], h = map.h[k * map.set.units + unit];
      sum += v * h;
      terms.push(`${v < 0 ? `(${minus(v)})` : v}·${h < 0 ? `(${plain(h, 0)})` : plain(h, 0)}`);
    }
    return `(${terms.join(" + ")})/${map.examples} = ${plain(sum / map.examples, 1).replace(/[.]0$/, "")}`;
  }
  function exampleTour() {
    const example = data.maps.length, blocks = example + 1, majority = ruled;
    const trained = data.maps.findIndex(isTrained);
    const steps = [
      { set: { ...fresh, maps: [example, -1] }, open: true, say: async () => "Two configurations of 4×4 spins, and for each of them four coarse variables h. That is the whole table of the example in the post; below is the first configuration beside its h." },
      { set: { ...fresh, maps: [example, -1] }, say: async () => `Take spin 1 and unit 1, multiply, and average over the two configurations: ⟨v₁ h₁⟩ = ${product(await load(example), 0, 0)}. It is the chosen cell in the upper left corner.` },
      { set: { ...fresh, maps: [example, -1], units: [3, 0], site: 15 }, say: async () => `Spin 16 and unit 4: ⟨v₁₆ h₄⟩ = ${product(await load(example), 3, 15)}. They agree in one configuration and differ in the other.` },
      { set: { ...fresh, maps: [example, -1], units: [1, 0] }, say: async () => "All sixteen numbers of one unit make its picture: the lattice as that unit sees it. Choose other units in the picture of all units." },
      { set: { ...fresh, maps: [example, -1], site: 4 }, say: async () => "The same table read the other way: one site, and how much each of the four units knows of it." },
      { set: { ...fresh, maps: [example, blocks] }, say: async () => "Beside it, on the same colours, what the majority rule makes of the same two configurations: its h is the sign of each 2×2 block. Two configurations are few: chance agreement is everywhere." },
    ];
    if (majority >= 0) steps.push({ set: { ...fresh, maps: [majority, -1] }, say: async () => `Now ${data.samples} configurations of ${data.size}×${data.size} spins at this temperature. Each unit of the majority rule is a blob about its own block, and the tail about it is the correlation of the spins.` });
    if (trained >= 0) steps.push({ set: { ...fresh, maps: [trained, majority >= 0 ? majority : -1] }, say: async () => `And a trained network, ${data.maps[trained].name}, on the same scale: does any of its units look like a block? Sort by contrast or extent, subtract the means, and look at the untrained network too.` });
    return steps;
  }
  function noiseTour() {
    const trained = data.maps.findIndex(isTrained), none = nullOf(data.maps[trained]), pair = [trained, none];
    const strong = async (index) => {
      const map = await load(index);
      const found = every(map).map((unit) => strength(map, unit, "flattened")).sort((a, b) => a - b);
      return plain(found[Math.floor(found.length / 2)], 1);
    };
    return [
      { set: { ...fresh, maps: pair }, say: async () => `Left a trained network, ${data.maps[trained].name}; right one that saw no data. Many pictures are red or blue all over: those units follow the total magnetisation.` },
      { set: { ...fresh, maps: pair, mode: "flattened", scale: "own" }, say: async () => "Their means subtracted, each on its own scale: clouds come out in both." },
      { set: { ...fresh, maps: pair, mode: "flattened", errors: true }, say: async () => `The same in standard errors. The typical picture is ${await strong(trained)} standard errors strong in the trained network and ${await strong(none)} in the untrained one; noise alone has 1.` },
      { set: { ...fresh, maps: pair, mode: "weights", scale: "own" }, say: async () => "The weights that make them. A cloud above the noise shows that a unit reads some spins more than others, which random weights do as well: it is no result of training unless the untrained network lacks it." },
    ];
  }
  const guide = make("section", { class: "rgx-guide", "aria-label": "tour", hidden: "" });
  function startTour(name, steps) {
    let at = 0;
    const words = make("p", { class: "rgx-step", tabindex: "-1", "aria-live": "polite" });
    const back = make("button", { type: "button", onclick: () => go(at - 1) }, "back");
    const next = make("button", { type: "button", onclick: () => go(at + 1) }, "next");
    const end = make("button", { type: "button", onclick: () => { guide.hidden = true; } }, "end the tour");
    async function go(to) {
      at = to;
      const step = steps[at];
      back.disabled = at === 0;
      next.disabled = at === steps.length - 1;
      words.textContent = `${name}, ${at + 1} of ${steps.length}. ${await step.say()}`;
      await change(() => Object.assign(state, structuredClone(step.set)));
      cards[0].beside.open = Boolean(step.open);
      guide.dataset.step = String(at + 1);
    }
    guide.replaceChildren(words, make("div", { class: "rgx-buttons" }, back, next, end));
    guide.hidden = false;
    blind.hidden = true;
    return go(0);
  }

  // --- which of these is the untrained network?

  const blind = make("section", { class: "rgx-guide", "aria-label": "blind test", hidden: "" });
  const score = { right: 0, asked: 0 };
  const drawLots = (n) => Math.floor(n * Math.random());
  async function ask() {
    const networks = data.maps.map((set, i) => i).filter((i) => isTrained(data.maps[i]));
    const trained = networks[drawLots(networks.length)], none = nullOf(data.maps[trained]);
    const pair = drawLots(2) ? [none, trained] : [trained, none], maps = await Promise.all(pair.map(load));
    const saved = { mode: state.mode, errors: state.errors };
    Object.assign(state, { mode: "raw", errors: false });
    const columns = maps.map((map, side) => {
      const units = every(map).sort(() => Math.random() - 0.5).slice(0, 16);
      const picture = board("blind", { move: () => "", pick: () => answer(side) });
      const grid = thumbnails(picture, map, units, () => limit(map, units));
      picture.box.tabIndex = -1;
      picture.box.setAttribute("role", "img");
      picture.box.removeAttribute("aria-roledescription");
      picture.show(...grid, units.length, side ? "right" : "left", `sixteen pictures of the ${side ? "right" : "left"} network`);
      picture.choose(-1);
      return picture.node;
    });
    Object.assign(state, saved);
    const verdict = make("p", { class: "rgx-answer", "aria-live": "polite" });
    const buttons = ["the left one", "the right one"].map((words, side) => make("button", { type: "button", onclick: () => answer(side) }, words));
    const again = make("button", { type: "button", hidden: "", onclick: () => ask().then(() => blind.querySelector("button").focus()) }, "another pair");
    const end = make("button", { type: "button", onclick: () => { blind.hidden = true; } }, "end the test");
    let answered = false;
    function answer(side) {
      if (answered) return;
      answered = true;
      const hit = pair[side] === none;
      score.asked += 1;
      score.right += hit ? 1 : 0;
      verdict.textContent = `${hit ? "Right" : "Wrong"}: left is ${title(data.maps[pair[0]])}, right is ${title(data.maps[pair[1]])}. ` +
        `You have ${score.right} of ${score.asked}; guessing has half.`;
      for (const button of buttons) button.disabled = true;
      again.hidden = false;
      again.focus();
    }
    blind.replaceChildren(make("p", {}, "Which of these is the untrained network? Sixteen plain pictures ⟨v h⟩ of each, units drawn by lot, each side on its own colours."),
      make("div", { class: "rgx-row" }, ...columns), make("div", { class: "rgx-buttons" }, ...buttons, again, end), verdict);
    blind.hidden = false;
    guide.hidden = true;
  }

  // --- all together

  const tours = [make("button", { type: "button", onclick: () => startTour("The worked example", exampleTour()) }, "tour: the example of the post")];
  if (data.maps.some((set) => isTrained(set) && nullOf(set) >= 0)) {
    tours.push(make("button", { type: "button", onclick: () => startTour("Is this cloud above noise?", noiseTour()) }, "tour: is this cloud above noise?"));
    tours.push(make("button", { type: "button", onclick: ask }, "blind test: which is the untrained network?"));
  }
  root.replaceChildren(
    make("h3", {}, "Touch the pictures"),
    make("p", { class: "rgx-note" }, `Each unit of h has a picture, ⟨v h⟩ over the lattice. Point, touch or use the arrow keys to read values; click or press Enter to choose a unit or a site.`),
    make("div", { class: "rgx-buttons" }, ...tours), guide, blind,
    make("div", { class: "rgx-tools", role: "group", "aria-label": "what is shown" }, mapA, mapB, mode, errors, scale, sort),
    meaning, board_, said,
  );
  root.hidden = false;
  root.rgstep = { state, change, load };
  return redraw();
}
