// The opening: scores of a run and its control, the waves as they form, one slider for all of it, and sound.
(() => {
  const place = document.getElementById("stage");
  if (!place) return;
  const data = JSON.parse(document.getElementById("stage-data").textContent);
  const controls = document.querySelector(".controls");
  const slider = controls.querySelector("input[type=range]"), said = controls.querySelector("output");
  const playing = controls.querySelector(".play"), sounding = place.querySelector(".sound");
  const chosen = place.querySelector(".heard"), frames = data.steps.length;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const shade = (low, high, part) => low.map((value, i) => value + (high[i] - value) * part);
  const mix = (colours, part) => {
    const spot = Math.min(part, .999999) * (colours.length - 1), i = Math.floor(spot);
    return shade(colours[i], colours[i + 1], spot - i);
  };
  const bytes = text => Uint8Array.from(atob(text), one => one.charCodeAt(0));
  const integers = text => new Int16Array(bytes(text).buffer);
  const number = step => step.toLocaleString("en-GB");

  const acts = data.acts.map((act, index) => {
    const box = place.querySelectorAll(".act")[index];
    const score = bytes(act.score), rows = act.labels.length;
    const at = (row, frame) => (score[row * act.last + Math.min(frame, act.last - 1)] / 255) ** 2;
    const canvas = box.querySelector(".score canvas"), wave = box.querySelector(".wave canvas");
    canvas.width = frames; canvas.height = rows;
    const pen = canvas.getContext("2d"), picture = pen.createImageData(frames, rows);
    for (let row = 0; row < rows; row++)
      for (let frame = 0; frame < frames; frame++) {
        // Empty where the run had ended.
        const colour = frame < act.last ? [...mix(data.bright, Math.sqrt(at(row, frame) / data.most)), 255] : [0, 0, 0, 0];
        picture.data.set(colour, 4 * ((rows - 1 - row) * frames + frame));
      }
    pen.putImageData(picture, 0, 0);
    const found = {act, box, rows, at, canvas, wave, shades: null};
    if (act.parts) found.parts = {
      elements: integers(act.parts.elements), functions: integers(act.parts.functions),
      count: integers(act.parts.functions).length / act.parts.ends[rows - 1],
    };
    if (act.waves) {
      const sprite = new Image();
      sprite.onload = () => {
        const sheet = document.createElement("canvas");
        sheet.width = sprite.width; sheet.height = sprite.height;
        const context = sheet.getContext("2d", {willReadFrequently: true});
        context.drawImage(sprite, 0, 0);
        found.shades = context.getImageData(0, 0, sheet.width, sheet.height).data;
        wave.width = wave.height = act.side;
        show(frame);
      };
      sprite.src = act.waves;
    }
    return found;
  });

  // Pixels as one number each, as they lie in memory; beyond the shades stands "no value", white.
  const packed = new Uint8ClampedArray(4 * 256).fill(255), palette = new Uint32Array(packed.buffer);
  for (let i = 0; i <= data.top; i++) packed.set(mix(data.signed, i / data.top), 4 * i);
  // The part of a wave that is one function, by element of the group: the sum of f ⟨f, wave⟩ over its functions f.
  const partOf = (one, row, from) => {
    const {elements, functions, count} = one.parts, {ends, largest} = one.act.parts;
    const sums = new Float64Array(count), part = new Float64Array(count);
    for (let i = 0; i < elements.length; i++)
      if (elements[i] >= 0) sums[elements[i]] += one.shades[from + 4 * i] - data.top / 2;
    for (let k = row ? ends[row - 1] : 0; k < ends[row]; k++) {
      let held = 0;
      for (let e = 0; e < count; e++) held += functions[k * count + e] * largest * sums[e];
      for (let e = 0; e < count; e++) part[e] += functions[k * count + e] * largest * held;
    }
    return part;
  };
  const drawWave = (one, frame) => {
    if (!one.shades) return;
    const side = one.act.side, pen = one.wave.getContext("2d"), picture = one.picture ??= pen.createImageData(side, side);
    const pixels = new Uint32Array(picture.data.buffer), from = 4 * side * side * Math.min(frame, one.act.last - 1);
    const row = one.parts && isComparable(one) ? one.act.labels.indexOf(lit) : -1;
    const part = row < 0 ? null : partOf(one, row, from);
    for (let i = 0; i < pixels.length; i++) {
      let value = one.shades[from + 4 * i];
      if (part && value <= data.top) value = Math.max(0, Math.min(data.top, Math.round(part[one.parts.elements[i]] + data.top / 2)));
      pixels[i] = palette[value];
    }
    pen.putImageData(picture, 0, 0);
    one.box.querySelector(".whole").textContent =
      part ? `of its answers over all pairs (a, b), only ${lit}` : "its answers over all pairs (a, b)";
  };

  // A function is lit while one points at it, or else the one that was kept.
  let lit = "", kept = "";
  const isComparable = one => data.comparable.includes(acts.indexOf(one));
  const lines = [...place.querySelectorAll("[data-function]")];
  const numbers = lines.map(line => ({
    row: acts[0].act.labels.indexOf(line.dataset.function), cells: [...line.querySelectorAll("td")],
  }));
  const light = label => {
    lit = label || kept;
    for (const one of acts) {
      const row = isComparable(one) ? one.act.labels.indexOf(lit) : -1, stripe = one.box.querySelector(".stripe");
      stripe.hidden = row < 0;
      stripe.style.top = `${100 * (one.rows - 1 - row) / one.rows}%`;
      stripe.style.height = `${100 / one.rows}%`;
      drawWave(one, frame);
    }
    for (const line of lines) {
      line.classList.toggle("lit", line.dataset.function === lit);
      line.querySelector("button").setAttribute("aria-pressed", line.dataset.function === kept);
    }
  };
  const keep = label => { kept = label === kept ? "" : label; light(""); mark(); };
  const reveal = label => {
    const line = lines.find(one => one.dataset.function === label), box = place.querySelector(".functions");
    if (line) box.scrollTop = line.offsetTop - box.clientHeight / 2;
  };
  for (const line of lines) {
    line.addEventListener("pointerenter", () => light(line.dataset.function));
    line.addEventListener("pointerleave", () => light(""));
    line.addEventListener("focusin", () => light(line.dataset.function));
    line.addEventListener("focusout", () => light(""));
    line.addEventListener("click", () => keep(line.dataset.function));
  }

  let frame = frames - 1, timer = 0, audio = null;
  const show = to => {
    frame = Math.max(0, Math.min(frames - 1, to));
    slider.value = frame;
    slider.setAttribute("aria-valuetext", `step ${number(data.steps[frame])}`);
    said.textContent = `step ${number(data.steps[frame])}`;
    for (const one of acts) {
      const ended = frame >= one.act.last, now = Math.min(frame, one.act.last - 1);
      for (const line of one.box.querySelectorAll(".now")) line.style.left = `${100 * (frame + .5) / frames}%`;
      one.box.querySelector(".reading").textContent =
        (ended ? `ended at step ${number(data.steps[now])}: ` : "") +
        `test accuracy ${(100 * one.act.test[now]).toFixed(0)}%, own functions ${(100 * one.act.own[now]).toFixed(0)}%`;
      drawWave(one, frame);
    }
    for (const {row, cells} of numbers)
      data.comparable.forEach((index, i) => {
        const one = acts[index];
        cells[i].textContent = `${(100 * one.at(row, Math.min(frame, one.act.last - 1))).toFixed(1)}%`;
      });
    dispatchEvent(new CustomEvent("training-step", {detail: data.steps[frame]}));
  };
  const mark = () => history.replaceState(
    null, "", `#step=${data.steps[frame]}` + (kept ? `&function=${encodeURIComponent(kept)}` : ""));
  const stop = () => {
    cancelAnimationFrame(timer); timer = 0;
    playing.textContent = "▶ Play"; playing.setAttribute("aria-pressed", "false");
    if (audio) { audio.close(); audio = null; }
  };
  // Plays from one frame to another; sound, where it is on, is made of the same shares.
  const play = (from, to, seconds, end) => {
    stop();
    playing.textContent = "❚❚ Pause"; playing.setAttribute("aria-pressed", "true");
    if (sounding.getAttribute("aria-pressed") === "true") audio = voices(new AudioContext(), acts[chosen.value], from, to, seconds);
    const began = performance.now();
    const tick = now => {
      const part = Math.min(1, Math.max(0, (now - began) / (1000 * seconds)));
      const next = Math.round(from + (to - from) * part);
      if (next !== frame) show(next);
      if (part < 1) timer = requestAnimationFrame(tick);
      else { stop(); end && end(); }
    };
    show(from);
    timer = requestAnimationFrame(tick);
  };
  const voices = (context, one, from, to, seconds) => {
    const count = Math.max(2, Math.abs(to - from) + 1);
    const loudness = (row, at) => at < one.act.last ? data.loudest * Math.sqrt(one.at(row, at)) : 0;
    for (let row = 0; row < one.rows; row++) {
      const values = Float32Array.from({length: count}, (_, i) =>
        loudness(row, Math.round(from + (to - from) * i / (count - 1))));
      if (!one.act.tones[row] || Math.max(...values) < data.silent) continue;
      const tone = context.createOscillator(), gain = context.createGain();
      tone.frequency.value = one.act.tones[row];
      gain.gain.value = 0;
      gain.gain.setValueCurveAtTime(values, context.currentTime + .05, seconds);
      tone.connect(gain).connect(context.destination);
      tone.start(); tone.stop(context.currentTime + seconds + .1);
    }
    return context;
  };
  window.spectraledgeStage = {
    show, frame: () => frame, steps: data.steps,
    // Samples of a run's sound, for whoever wants to check or keep it.
    samples: async (index, seconds) => {
      const context = new OfflineAudioContext(1, 44100 * seconds, 44100);
      voices(context, acts[index], 0, frames - 1, seconds - .2);
      return (await context.startRendering()).getChannelData(0);
    },
  };

  slider.max = frames - 1;
  slider.addEventListener("input", () => { stop(); show(+slider.value); mark(); });
  playing.addEventListener("click", () => {
    if (timer) { stop(); mark(); return; }
    play(frame >= frames - 1 ? 0 : frame, frames - 1, 20 * (frames - (frame >= frames - 1 ? 0 : frame)) / frames, mark);
  });
  sounding.addEventListener("click", () => {
    const on = sounding.getAttribute("aria-pressed") !== "true";
    sounding.setAttribute("aria-pressed", on); sounding.textContent = on ? "♪ Sound is on" : "♪ Sound is off";
    if (timer) play(frame, frames - 1, 20 * (frames - frame) / frames, mark);
  });
  chosen.addEventListener("change", () => { if (timer) play(frame, frames - 1, 20 * (frames - frame) / frames, mark); });
  for (const one of acts) {
    const tip = one.box.querySelector(".tip");
    let before = "";
    const point = event => {
      const box = one.canvas.getBoundingClientRect();
      const row = Math.max(0, Math.min(one.rows - 1, Math.floor(one.rows * (1 - (event.clientY - box.top) / box.height))));
      const at = Math.max(0, Math.min(frames - 1, Math.floor(frames * (event.clientX - box.left) / box.width)));
      const label = one.act.labels[row];
      if (label !== before) {
        before = label;
        if (isComparable(one)) { light(label); reveal(label); }
      }
      const share = at < one.act.last ? `${(100 * one.at(row, at)).toFixed(1)}%` : "not trained so long";
      tip.textContent = `${label} at step ${number(data.steps[at])}: ${share}`;
      return at;
    };
    one.canvas.addEventListener("pointermove", event => { const at = point(event); if (event.buttons) { stop(); show(at); mark(); } });
    one.canvas.addEventListener("pointerdown", event => { stop(); show(point(event)); mark(); });
    one.canvas.addEventListener("pointerleave", () => { before = tip.textContent = ""; light(""); });
  }
  const asked = () => {
    const step = /^#step=(\d+)(?:&function=(.+))?$/.exec(location.hash);
    if (!step) return -1;
    const wanted = +step[1];
    if (step[2]) { kept = decodeURIComponent(step[2]); light(""); reveal(kept); }
    return data.steps.reduce((best, one, i) => Math.abs(one - wanted) < Math.abs(data.steps[best] - wanted) ? i : best, 0);
  };
  const follow = () => {
    const to = asked();
    if (to < 0) return;
    place.scrollIntoView({block: "nearest"});
    if (calm || to === frame) { stop(); show(to); }
    else play(frame, to, Math.min(3, .15 * Math.abs(to - frame)));
  };
  addEventListener("hashchange", follow);
  const rest = data.rest;
  if (asked() >= 0) show(asked());
  else if (calm) show(rest);
  else play(0, frames - 1, 10, () => show(rest));
})();
