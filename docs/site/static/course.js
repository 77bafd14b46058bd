/* Sliders, steppers and polls of the course's pages. Nothing is sent anywhere and nothing is kept. */
"use strict";

/* A view's frames lie in one row, the last control's values running fastest. */
function openView(view) {
  const { sizes, frames } = JSON.parse(view.querySelector("script").textContent);
  const controls = [...view.querySelectorAll("input[type=range], select")];
  const place = view.querySelector(".nt-frame");
  const play = view.querySelector(".nt-play");
  let timer = null, fetched = false;

  const position = (control) => (control.tagName === "SELECT" ? control.selectedIndex : Number(control.value));
  function show() {
    let at = 0;
    controls.forEach((control, i) => {
      at = at * sizes[i] + position(control);
      if (control.tagName !== "SELECT") {
        const said = JSON.parse(control.dataset.values)[position(control)];
        control.setAttribute("aria-valuetext", said);
        control.parentElement.querySelector("output").textContent = said;
      }
    });
    const frame = frames[at];
    if (frame.text !== undefined) {
      let text = place.querySelector("pre");
      if (!text) {
        text = document.createElement("pre");
        text.tabIndex = 0;
        place.replaceChildren(text);
      }
      text.textContent = frame.text;
    } else {
      let picture = place.querySelector("img");
      if (!picture) {
        picture = document.createElement("img");
        place.replaceChildren(picture);
      }
      picture.className = `nt-figure dark-light ${frame.class}`;
      picture.alt = frame.alt;
      picture.src = frame.image;
    }
  }
  function fetchAll() {
    if (fetched) return;
    fetched = true;
    frames.forEach((frame) => { if (frame.image) new Image().src = frame.image; });
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "\u25B6";
    play.setAttribute("aria-label", "Play");
  }
  controls.forEach((control) => {
    control.addEventListener("input", () => { fetchAll(); show(); });
    control.addEventListener("focus", fetchAll);
    control.addEventListener("pointerenter", fetchAll);
  });
  if (play) {
    const slider = controls[0];
    play.addEventListener("click", () => {
      fetchAll();
      if (timer !== null) return stop();
      if (Number(slider.value) === Number(slider.max)) { slider.value = 0; show(); }
      play.textContent = "\u23F8";
      play.setAttribute("aria-label", "Pause");
      timer = setInterval(() => {
        if (Number(slider.value) === Number(slider.max)) return stop();
        slider.value = Number(slider.value) + 1;
        show();
      }, 900);
    });
    slider.addEventListener("pointerdown", () => { if (timer !== null) stop(); });
  }
  view.hidden = false;
}

/* The explanation is the one folded away above the buttons, copied with its formulas as they are set. */
function openPoll(poll) {
  const right = poll.dataset.right;
  const feedback = poll.querySelector(".nt-feedback");
  const buttons = [...poll.querySelectorAll("button")];
  const folds = [...poll.closest(".cell, section").querySelectorAll("details")]
    .filter((fold) => fold.compareDocumentPosition(poll) & Node.DOCUMENT_POSITION_FOLLOWING && !fold.classList.contains("hide"));
  const fold = folds[folds.length - 1];

  function explain(words) {
    const first = document.createElement("p");
    const strong = document.createElement("b");
    strong.textContent = words;
    first.append(strong);
    feedback.replaceChildren(first);
    if (!fold) return;
    [...fold.children].filter((part) => part.tagName !== "SUMMARY").forEach((part) => {
      const copy = part.cloneNode(true);
      const letter = copy.querySelector("strong");
      if (right && letter && letter.textContent.trim() === `${right}.`) letter.remove();
      feedback.append(copy);
    });
  }
  buttons.forEach((button) => button.addEventListener("click", () => {
    buttons.forEach((other) => {
      other.setAttribute("aria-pressed", String(other === button));
      if (!right) other.classList.toggle("chosen", other === button);
    });
    const letter = button.textContent;
    if (!right) {
      explain(`You chose ${letter}.`);
    } else if (letter === right) {
      button.classList.add("right");
      explain(`${right} is right.`);
    } else {
      button.classList.add("wrong");
      const words = document.createElement("p");
      const strong = document.createElement("b");
      strong.textContent = `Not ${letter}.`;
      words.append(strong, " Try another one, or unfold the answer above.");
      feedback.replaceChildren(words);
    }
  }));
  poll.hidden = false;
}

document.addEventListener("DOMContentLoaded", () => {
  /* The theme's arrows that open a branch of the contents have no name for a screen reader. */
  document.querySelectorAll("nav summary").forEach((summary) => {
    if (!summary.textContent.trim()) summary.setAttribute("aria-label", "Show the pages below");
  });
  document.querySelectorAll(".nt-view").forEach(openView);
  document.querySelectorAll(".nt-poll").forEach(openPoll);
});
