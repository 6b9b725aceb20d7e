// Compares two pictures under one divider: zoom 1/fit to 16, pan, by pointer, touch and keyboard.
// Without this script the page shows the pictures one below another.
(() => {
  "use strict";
  const root = document.getElementById("compare");
  if (!root) return;
  const shots = [...root.querySelectorAll(".shots img")];
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const view = part("view"), canvas = part("canvas"), divider = part("divider");
  const selects = [part("left"), part("right")], readout = part("zoom");
  const width = Number(shots[0].getAttribute("width"));
  const height = Number(shots[0].getAttribute("height"));
  const MOST = 16, GRAB = 24;
  // A picture that is smaller than the page is shown pixel for pixel, not in empty space.
  part("stage").style.flexBasis = `${Math.max(width, 480)}px`;
  let zoom = 0, x = 0, y = 0;        // CSS pixels a picture pixel; picture pixel at the top left
  let viewWidth = 1, viewHeight = 1, drawing = false;
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const fit = () => Math.min(viewWidth / width, viewHeight / height);
  const least = () => Math.min(fit(), 1);
  const share = () => Number(divider.value) / Number(divider.max);

  function keepInside() {
    zoom = clamp(zoom, least(), MOST);
    const across = viewWidth / zoom, down = viewHeight / zoom;
    x = across >= width ? (width - across) / 2 : clamp(x, 0, width - across);
    y = down >= height ? (height - down) / 2 : clamp(y, 0, height - down);
  }

  function draw() {
    drawing = false;
    keepInside();
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(viewWidth * ratio);
    canvas.height = Math.round(viewHeight * ratio);
    const context = canvas.getContext("2d");
    const edge = Math.round(share() * canvas.width);
    context.imageSmoothingEnabled = zoom < 1;
    context.imageSmoothingQuality = "high";
    [[0, edge], [edge, canvas.width]].forEach(([from, to], side) => {
      context.save();
      context.beginPath();
      context.rect(from, 0, to - from, canvas.height);
      context.clip();
      context.drawImage(shots[Number(selects[side].value)], -x * zoom * ratio, -y * zoom * ratio,
                        width * zoom * ratio, height * zoom * ratio);
      context.restore();
    });
    view.style.setProperty("--at", `${100 * share()}%`);
    readout.textContent = `${Number(zoom.toFixed(2))}×`;
    view.style.touchAction = zoom > fit() * 1.001 ? "none" : "pan-y";
    selects.forEach((select, side) => {
      part(side ? "name-right" : "name-left").textContent = shots[Number(select.value)].alt;
    });
  }

  function later() {
    if (!drawing) { drawing = true; requestAnimationFrame(draw); }
  }

  function measure() {
    const fitted = zoom === 0 || Math.abs(zoom - least()) < 1e-9;
    viewWidth = view.clientWidth;
    viewHeight = Math.max(Math.min(viewWidth * height / width, window.innerHeight * 0.8), 120);
    view.style.height = `${viewHeight}px`;
    if (fitted) zoom = least();
    later();
  }

  function zoomTo(next, atX = viewWidth / 2, atY = viewHeight / 2) {
    const pixelX = x + atX / zoom, pixelY = y + atY / zoom;
    zoom = clamp(next, least(), MOST);
    x = pixelX - atX / zoom;
    y = pixelY - atY / zoom;
    later();
  }

  // Steps are powers of two, so that pixels stay square and equal.
  function step(up) {
    const power = Math.log2(zoom);
    zoomTo(2 ** (up ? Math.floor(power + 1.001) : Math.ceil(power - 1.001)));
  }

  function divide(atX) {
    divider.value = String(clamp(atX / viewWidth, 0, 1) * Number(divider.max));
    later();
  }

  const pointers = new Map();
  let dividing = false, pinch = 0;
  const place = (event) => {
    const box = view.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const spreadOf = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]);

  view.addEventListener("pointerdown", (event) => {
    view.setPointerCapture(event.pointerId);
    const at = place(event);
    pointers.set(event.pointerId, at);
    const nothingToPan = zoom <= fit() * 1.001;
    dividing = pointers.size === 1 &&
      (nothingToPan || Math.abs(at[0] - share() * viewWidth) < GRAB);
    if (dividing) divide(at[0]);
    if (pointers.size === 2) pinch = spreadOf([...pointers.values()]);
  });
  view.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const before = pointers.get(event.pointerId), at = place(event);
    pointers.set(event.pointerId, at);
    if (pointers.size === 2) {
      const both = [...pointers.values()], now = spreadOf(both);
      if (pinch > 0) zoomTo(zoom * now / pinch, (both[0][0] + both[1][0]) / 2,
                            (both[0][1] + both[1][1]) / 2);
      pinch = now;
    } else if (dividing) {
      divide(at[0]);
    } else {
      x -= (at[0] - before[0]) / zoom;
      y -= (at[1] - before[1]) / zoom;
      later();
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    view.addEventListener(end, (event) => { pointers.delete(event.pointerId); dividing = false; });
  }
  view.addEventListener("wheel", (event) => {
    // At the smallest zoom, scrolling on is the page's.
    if (event.deltaY > 0 && zoom <= least() * 1.001) return;
    event.preventDefault();
    zoomTo(zoom * 2 ** clamp(-event.deltaY / 240, -0.5, 0.5), ...place(event));
  }, { passive: false });
  view.addEventListener("keydown", (event) => {
    const move = 40 / zoom;
    const actions = {
      ArrowLeft: () => { x -= move; }, ArrowRight: () => { x += move; },
      ArrowUp: () => { y -= move; }, ArrowDown: () => { y += move; },
      "+": () => step(true), "=": () => step(true), "-": () => step(false),
      "0": () => zoomTo(least()), "1": () => zoomTo(1),
    };
    if (!(event.key in actions) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
    later();
  });

  part("in").addEventListener("click", () => step(true));
  part("out").addEventListener("click", () => step(false));
  part("fit").addEventListener("click", () => zoomTo(least()));
  part("one").addEventListener("click", () => zoomTo(1));
  part("swap").addEventListener("click", () => {
    const [left, right] = selects.map((select) => select.value);
    selects[0].value = right;
    selects[1].value = left;
    later();
  });
  divider.addEventListener("input", later);
  selects.forEach((select) => select.addEventListener("change", later));

  root.classList.add("ready");
  Promise.all(shots.map((shot) => shot.decode())).then(() => {
    new ResizeObserver(measure).observe(view.parentElement);
    measure();
  });
})();
