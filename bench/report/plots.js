// Draws the curves of the page with uPlot, from the JSON in the element "curves". Each plot
// gets buttons that hide and show its stacks.
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("curves").textContent);
  const plots = []; // functions that draw a plot anew

  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const digits = x => x >= 99.95 ? Math.round(x).toLocaleString("en") : String(Number(x.toPrecision(3)));

  function duration(seconds) {
    for (const [name, unit] of [["s", 1], ["ms", 1e-3], ["µs", 1e-6]]) {
      if (seconds >= unit * 0.9995) {
        return digits(seconds / unit) + " " + name;
      }
    }
    return digits(seconds * 1e9) + " ns";
  }

  function rate(x) {
    return x >= 1e6 ? digits(x / 1e6) + "M" : x >= 1e4 ? digits(x / 1e3) + "k" : digits(x);
  }

  // percentile is the inverse of the way across a latency plot, -log10(1-p).
  function percentile(x) {
    const share = 100 * (1 - Math.pow(10, -x));
    return share.toFixed(Math.max(0, Math.round(x * 10) / 10 >= 2 ? Math.ceil(x - 2.001) : 0)) + " %";
  }

  // steps are the percentiles that a latency plot is marked with.
  function steps(most) {
    const at = [Math.log10(2)];
    for (let x = 1; x <= most + 1e-9; x++) {
      at.push(x);
    }
    return at;
  }

  // apart returns the labels of the percentiles, without those that the one before leaves
  // no room for.
  function apart(u, xs) {
    let end = -Infinity;
    return xs.map(x => {
      const text = percentile(x), half = text.length * 3.6, at = u.valToPos(x, "x");
      if (at - half < end + 4) {
        return "";
      }
      end = at + half;
      return text;
    });
  }

  function axis(more) {
    const color = css("--soft");
    return Object.assign({
      stroke: color, font: "12px system-ui, sans-serif", labelFont: "13px system-ui, sans-serif",
      grid: { stroke: css("--grid"), width: 1 }, ticks: { stroke: css("--grid"), width: 1, size: 5 },
    }, more);
  }

  // markers draws a marker here and there on each line: those of colour-blind readers.
  function markers(curves) {
    return u => {
      const { ctx } = u, ratio = devicePixelRatio;
      curves.forEach((curve, i) => {
        if (!u.series[i + 1].show) {
          return;
        }
        const style = data.styles[curve.stack];
        const path = new Path2D(style.Marker);
        const every = Math.max(1, Math.floor(curve.x.length / 5));
        for (let k = Math.floor(every * (0.3 + 0.5 * i / curves.length)); k < curve.x.length; k += every) {
          ctx.save();
          ctx.translate(u.valToPos(curve.x[k], "x", true), u.valToPos(curve.y[k], "y", true));
          ctx.scale(ratio * 0.95, ratio * 0.95);
          ctx.fillStyle = css("--c" + style.Color);
          ctx.strokeStyle = css("--paper");
          ctx.lineWidth = 1.2;
          ctx.fill(path);
          ctx.stroke(path);
          ctx.restore();
        }
      });
    };
  }

  // shades tells the rounds apart.
  function shades(rounds) {
    return u => {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.fillStyle = css("--shade");
      rounds.forEach((round, i) => {
        if (i % 2 === 0) {
          const from = u.valToPos(round.from, "x", true), to = u.valToPos(round.to, "x", true);
          ctx.fillRect(from, bbox.top, to - from, bbox.height);
        }
      });
      ctx.fillStyle = css("--soft");
      ctx.font = 11 * devicePixelRatio + "px system-ui, sans-serif";
      ctx.textAlign = "center";
      rounds.forEach((round, i) => {
        const from = u.valToPos(round.from, "x", true), to = u.valToPos(round.to, "x", true);
        const name = to - from > 60 * devicePixelRatio ? "round " + (i + 1) : String(i + 1);
        ctx.fillText(name, (from + to) / 2, bbox.top + 13 * devicePixelRatio);
      });
      ctx.restore();
    };
  }

  function mark(style) {
    const ns = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(ns, "svg");
    for (const [name, value] of [["class", "mark c" + style.Color], ["width", 30], ["height", 14], ["viewBox", "0 0 30 14"], ["aria-hidden", "true"]]) {
      svg.setAttribute(name, value);
    }
    const line = svg.appendChild(document.createElementNS(ns, "line"));
    for (const [name, value] of [["x1", 0], ["x2", 30], ["y1", 7], ["y2", 7], ["stroke-dasharray", style.Dash]]) {
      line.setAttribute(name, value);
    }
    const path = svg.appendChild(document.createElementNS(ns, "path"));
    path.setAttribute("d", style.Marker);
    path.setAttribute("transform", "translate(15 7)");
    return svg;
  }

  // legend adds the buttons of a plot; it returns the places for the values at the cursor.
  function legend(box, curves, shown, redraw) {
    const list = document.createElement("ul");
    list.className = "legend";
    const values = curves.map((curve, i) => {
      const button = list.appendChild(document.createElement("li")).appendChild(document.createElement("button"));
      button.type = "button";
      button.title = "hide or show stack " + (curve.stack + 1);
      button.setAttribute("aria-pressed", "true");
      const number = document.createElement("b");
      number.textContent = curve.stack + 1;
      const text = document.createElement("span");
      text.className = "text";
      text.textContent = curve.name.length > 46 ? curve.name.slice(0, 44) + "…" : curve.name;
      const value = document.createElement("span");
      value.className = "value";
      button.append(number, mark(data.styles[curve.stack]), text, value);
      button.addEventListener("click", () => {
        shown[i] = !shown[i];
        button.setAttribute("aria-pressed", String(shown[i]));
        redraw(i);
      });
      return value;
    });
    box.after(list);
    return values;
  }

  function plot(box, curves, kind) {
    if (!curves.length) {
      return;
    }
    const joined = uPlot.join(curves.map(curve => [curve.x, curve.y]));
    const most = Math.max(...curves.map(curve => curve.x[curve.x.length - 1]));
    const shown = curves.map(() => true);
    let u = null;
    const values = legend(box, curves, shown, i => u.setSeries(i + 1, { show: shown[i] }));

    // at returns the value of a curve at or before x, the curves having points of their own.
    function at(curve, x) {
      let value = null;
      for (let k = 0; k < curve.x.length && curve.x[k] <= x + 1e-9; k++) {
        value = curve.y[k];
      }
      return value;
    }

    function draw() {
      if (u) {
        u.destroy();
      }
      const latency = kind !== "throughput";
      u = new uPlot({
        width: box.clientWidth, height: 300, legend: { show: false },
        padding: [12, 14, 0, 0],
        cursor: { drag: { x: false, y: false }, points: { show: false } },
        scales: latency
          ? { x: { time: false, range: [0, most] }, y: { distr: 3 } }
          : { x: { time: false, range: [0, data.rounds.length ? data.rounds[data.rounds.length - 1].to : most] }, y: { range: (_, __, max) => [0, max * 1.15] } },
        axes: latency
          ? [axis({ splits: () => steps(most), values: apart }), axis({ size: 66, values: (_, ys) => ys.map(y => y === null || y === undefined ? "" : duration(y)) })]
          : [axis({ values: (_, xs) => xs.map(x => digits(x) + " s") }), axis({ size: 66, values: (_, ys) => ys.map(rate) })],
        series: [{}].concat(curves.map((curve, i) => {
          const style = data.styles[curve.stack];
          return {
            show: shown[i], stroke: css("--c" + style.Color), width: 1.8, dash: style.Dash ? style.Dash.split(" ").map(Number) : undefined,
            spanGaps: true, points: { show: false },
          };
        })),
        hooks: {
          drawClear: latency ? [] : [shades(data.rounds)],
          draw: [markers(curves)],
          setCursor: [u => {
            const x = u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null;
            curves.forEach((curve, i) => {
              const value = x === null ? null : at(curve, x);
              values[i].textContent = value === null ? "" : latency ? duration(value) : rate(value);
            });
          }],
        },
      }, joined, box);
    }
    draw();
    plots.push(draw);
    new ResizeObserver(() => {
      if (u.width !== box.clientWidth) {
        u.setSize({ width: box.clientWidth, height: 300 });
      }
    }).observe(box);
  }

  for (const box of document.querySelectorAll("[data-plot]")) {
    plot(box, data[box.dataset.plot], box.dataset.plot);
  }
  // Colours are those of the moment: a canvas doesn't follow the style sheet.
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", () => plots.forEach(draw => draw()));
  }
})();
