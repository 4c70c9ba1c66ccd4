/* What happens in the browser: controls change the URL, links are copied, figures become SVG. No data is made here. */
(function () {
  "use strict";

  function merged(changes) {
    const now = new URLSearchParams(window.location.search);
    for (const [name, value] of changes) {
      if (value === "") { now.delete(name); } else { now.set(name, value); }
    }
    return readable(now);
  }

  function readable(params) {
    const pairs = [...params].map(([n, v]) =>
      n + "=" + encodeURIComponent(v).replace(/%2C/g, ",").replace(/%3A/g, ":").replace(/%3B/g, ";"));
    return pairs.length ? "?" + pairs.join("&") : "";
  }

  function same(a, b) {
    const order = (text) => [...new URLSearchParams(text)].map(String).sort().join("&");
    return order(a) === order(b);
  }

  function push(search) {
    return same(search, window.location.search) ? window.dash_clientside.no_update : search;
  }

  function triggered() {
    return window.dash_clientside.callback_context.triggered.filter((one) => one.value !== undefined);
  }

  // The study that this browser looked at last: what a link that names none shows. Nothing else is kept.
  const LAST = "decortex.study";
  let recalled = false;

  function remember(study) {
    try {
      if (study === null) { window.localStorage.removeItem(LAST); } else { window.localStorage.setItem(LAST, study); }
    } catch (error) { /* a browser that keeps nothing shows the latest study */ }
  }

  function recall() {
    let study = null;
    try { study = window.localStorage.getItem(LAST); } catch (error) { return; }
    const now = new URLSearchParams(window.location.search);
    if (!study || now.has("study")) { return; }
    recalled = true;
    window.history.replaceState(window.history.state, "", window.location.pathname + merged([["study", study]]));
  }

  recall(); // before the page is asked for

  function fileName(panel) {
    const study = (new URLSearchParams(window.location.search).get("study") || "")
      .replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "");
    const page = window.location.pathname.replace(/[^A-Za-z0-9-]+/g, "") || "study";
    return ["decortex", study, page, panel, new Date().toISOString().slice(0, 10)].filter(Boolean).join("-");
  }

  let lastPath = null;
  let changed = null; // the control that was used last: a page that is drawn anew must not take the focus from it

  function keepFocus() {
    const control = changed && document.getElementById(changed);
    const nowhere = !document.activeElement || document.activeElement === document.body;
    if (control && nowhere) { control.focus({ preventScroll: true }); }
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.decortex = {
    /* The address bar says everything that is shown, defaults included. */
    settle: function (canonical) {
      const none = window.dash_clientside.no_update;
      if (!canonical) { return [none, none]; }
      document.title = canonical.title;
      if (canonical.study) {
        remember(canonical.study);
      } else if (canonical.no_such_study && recalled) {
        // The study was removed or renamed since: the latest is shown.
        remember(null);
        window.location.replace(window.location.pathname);
        return [none, none];
      }
      recalled = false;
      const path = canonical.url.split("?")[0];
      if (canonical.from === window.location.pathname) {
        window.history.replaceState(window.history.state, "", canonical.url);
      }
      if (lastPath !== null && lastPath !== path) {
        const title = document.getElementById("title");
        if (title) { title.focus({ preventScroll: true }); window.scrollTo(0, 0); }
      }
      if (lastPath === path) { [0, 60, 250].forEach((ms) => window.setTimeout(keepFocus, ms)); } else { changed = null; }
      lastPath = path;
      // Both, or the address that dash remembers is pushed again and a bare link takes two Backs.
      return [window.location.search, window.location.href];
    },
    lasso: function () {
      const found = triggered().filter((one) => one.value);
      if (found.length !== 1) { return window.dash_clientside.no_update; }
      const drawn = found[0].value;
      let points = [];
      if (drawn.lassoPoints) {
        const [x, y] = [drawn.lassoPoints.x, drawn.lassoPoints.y];
        const step = Math.max(1, Math.ceil(x.length / 60));
        for (let i = 0; i < x.length; i += step) { points.push([x[i], y[i]]); }
      } else if (drawn.range && drawn.range.x) {
        const [[a, b], [c, d]] = [drawn.range.x, drawn.range.y];
        points = [[a, c], [b, c], [b, d], [a, d]];
      }
      const text = points.map(([x, y]) => Number(x).toPrecision(4) + "," + Number(y).toPrecision(4)).join(";");
      return push(merged([["lasso", text]]));
    },
    click: function () {
      const found = triggered().filter((one) => one.value && one.value.points && one.value.points.length);
      if (found.length !== 1) { return window.dash_clientside.no_update; }
      const link = found[0].value.points[0].customdata;
      const target = Array.isArray(link) ? link[0] : link;
      return typeof target === "string" && target.startsWith("/") && !target.startsWith("//")
        ? target : window.dash_clientside.no_update;
    },
  };

  // A4 landscape within margins of 10 mm, in CSS pixels.
  const PAPER = { width: 1047, height: 712 };

  /* Give the page the width of the paper; the answers, which are one page, the scale at which they fit. */
  function onPaper() {
    const root = document.documentElement;
    root.classList.add("on-paper");
    let zoom = 1;
    const main = document.getElementById("main");
    for (; zoom > 0.5; zoom -= 0.02) {
      root.style.setProperty("--paper-width", PAPER.width / zoom + "px");
      if (!document.querySelector(".answers") || main.scrollHeight * zoom <= PAPER.height) { break; }
    }
    root.style.setProperty("--paper-zoom", String(zoom));
    const plots = [...document.querySelectorAll(".js-plotly-plot")];
    return Promise.all(plots.map((plot) => window.Plotly.Plots.resize(plot)));
  }

  function onScreen() {
    document.documentElement.classList.remove("on-paper");
    document.querySelectorAll(".js-plotly-plot").forEach((plot) => window.Plotly.Plots.resize(plot));
  }

  window.addEventListener("beforeprint", () => { onPaper(); });
  window.addEventListener("afterprint", onScreen);

  function print() {
    const title = document.title;
    document.title = fileName(""); // the name that the dialog proposes
    onPaper().then(() => { window.print(); document.title = title; onScreen(); });
  }

  function escaped(text) {
    return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function asSvg(name) {
    const panel = document.querySelector('[data-panel="' + CSS.escape(name) + '"]');
    const plot = panel && panel.querySelector(".js-plotly-plot");
    if (!plot || !window.Plotly) { return; }
    const measure = panel.querySelector(".measure");
    const title = escaped(panel.querySelector("h2").textContent) +
      (measure ? '<br><span style="font-size:12px">' + escaped(measure.textContent) + "</span>" : "");
    const box = plot.getBoundingClientRect();
    const margin = Object.assign({}, plot.layout.margin);
    margin.t = (margin.t || 12) + 64;
    const layout = Object.assign({}, plot.layout, {
      title: { text: title, x: 0.01, xanchor: "left", y: 0.985, yanchor: "top", font: { size: 16 } }, margin: margin,
    });
    window.Plotly.toImage({ data: plot.data, layout: layout },
      { format: "svg", width: Math.round(box.width), height: Math.round(box.height) + 64 }).then((url) => {
      const link = document.createElement("a");
      link.href = url;
      link.download = fileName(name) + ".svg";
      document.body.appendChild(link);
      link.click();
      link.remove();
    });
  }

  document.addEventListener("change", (event) => {
    const control = event.target.closest("select[data-choice]");
    if (!control) { return; }
    changed = control.id;
    const search = merged(control.value.split("&").map((pair) => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at), decodeURIComponent(pair.slice(at + 1).replace(/\+/g, " "))];
    }));
    if (!same(search, window.location.search)) { window.dash_clientside.set_props("url", { search: search }); }
  });

  document.addEventListener("click", (event) => {
    const svg = event.target.closest("[data-svg]");
    if (svg) { asSvg(svg.getAttribute("data-svg")); }
    const tick = event.target.closest("[data-pick]");
    if (tick) {
      const word = tick.getAttribute("data-pick");
      const before = (new URLSearchParams(window.location.search).get("pick") || "").split(",").filter(Boolean);
      const now = before.includes(word) ? before.filter((one) => one !== word) : [...before, word];
      window.dash_clientside.set_props("url", { search: merged([["pick", now.join(",")]]) });
    }
    if (event.target.closest("#print")) { print(); }
    const copy = event.target.closest("#copy");
    if (copy && navigator.clipboard) {
      navigator.clipboard.writeText(window.location.href).then(() => {
        copy.textContent = "Copied";
        window.setTimeout(() => { copy.textContent = "Copy link to this view"; }, 1500);
      });
    }
  });
})();
