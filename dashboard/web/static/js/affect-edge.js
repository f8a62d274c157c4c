// For experiments that run in a step of a protocol: sends markers and answers to the participant's page around this frame.
// An experiment loads it as "affect-edge.js" beside its page; docs/protocols.md says how.

const affectEdge = (() => {
  const LONGEST = 2000; // characters of a value that are stored
  const MOST_TROUBLES = 20;
  const now = () => performance.timeOrigin + performance.now();
  const send = (said) => window.parent.postMessage({ affectEdge: said }, "*");
  let troubles = 0;

  /** Send what the browser refused this page, or where its program failed: the operator reads it. */
  const report = (trouble) => {
    troubles += 1;
    if (troubles <= MOST_TROUBLES) send({ trouble: String(trouble) });
  };
  addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => report(`${effectiveDirective}: ${blockedURI}`));
  addEventListener("unhandledrejection", ({ reason }) => report(reason));
  // While it is caught, also that a script, picture or sound does not load, which goes no further.
  addEventListener("error", ({ message, target }) => report(message ?? `${target.src ?? target.href}: does not load`), true);

  const text = (value) => {
    try {
      return String(value);
    } catch {
      return "";
    }
  };

  /** Return a value as JSON can have it. What it cannot have is left out, and noted in `state`: what leads back to what it is
   *  in, functions, and objects that show nothing of themselves. */
  function plain(value, state, around = []) {
    state.parts += 1;
    if (value === undefined || value === null || state.parts > LONGEST) return null; // the text is longer than is stored
    if (typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
    if (typeof value === "bigint") return String(value);
    if (typeof value !== "object" || around.includes(value)) {
      state.whole = false;
      return null;
    }
    const within = [...around, value];
    if (typeof value.toJSON === "function") return plain(value.toJSON(), state, within);
    if (typeof value[Symbol.iterator] === "function") {
      const list = [];
      for (const one of value) {
        list.push(plain(one, state, within));
        if (state.parts > LONGEST) break;
      }
      return list;
    }
    const names = Object.keys(value);
    // Such as a file or an error: what it holds is no value of its own.
    if (names.length === 0 && ![Object, undefined].includes(value.constructor)) {
      state.whole = false;
      return null;
    }
    const kept = Object.create(null); // in which any name is one of a value
    for (const name of names) {
      if (state.parts > LONGEST) break;
      try {
        if (value[name] !== undefined) kept[name] = plain(value[name], state, within);
      } catch {
        state.whole = false;
      }
    }
    return kept;
  }

  /** Return values as texts by name, `null` for no answer, and the names of those that are not there, or not whole. */
  function texts(values) {
    const [data, lost] = [{}, []];
    const names = Object.keys(Object(values));
    if (typeof values !== "object" || names.length === 0) return { data, lost: ["data"] };
    for (const name of names) {
      const state = { parts: 0, whole: true };
      try {
        const kept = plain(values[name], state);
        // One character more than is stored: the page around this frame cuts it, and says so.
        if (state.whole || kept !== null) data[name] = kept === null ? null : (typeof kept === "string" ? kept : JSON.stringify(kept)).slice(0, LONGEST + 1);
      } catch {
        state.whole = false;
      }
      if (!state.whole) lost.push(name);
    }
    return { data, lost };
  }

  return {
    /** The present time, as `at` of the others. */
    now,
    /** Set a marker; `at` is when, if that was before now. */
    marker: (label, at = now()) => send({ marker: text(label), at }),
    /** Give the values of a trial by name; it began `at` and lasted so many milliseconds. */
    data: (values, at = now(), lasted = 0) => send({ ...texts(values), at, lasted }),
    /** End the step. */
    finish: () => send({ finished: true }),
  };
})();

/** Extension of jsPsych 7.3 and later: gives each trial's data, ends the step with the experiment, and sets a marker at the
 *  first frame of each trial that has the parameter `marker`. */
class jsPsychExtensionAffectEdge {
  static info = { name: "affect-edge", version: "1.0.0", data: {} };

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  async initialize() {
    const settings = this.jsPsych.getInitSettings();
    const { on_trial_start: start, on_data_update: update, on_finish: finish } = settings;
    let began = affectEdge.now();
    settings.on_trial_start = (trial) => {
      began = affectEdge.now();
      start?.(trial);
    };
    settings.on_data_update = (data) => {
      affectEdge.data(data, began, affectEdge.now() - began);
      update?.(data);
    };
    settings.on_finish = async (data) => {
      await finish?.(data);
      affectEdge.finish();
    };
  }

  on_start() {}

  on_load({ marker } = {}) {
    if (marker === undefined) return;
    // The frame after the next begins when the next one is shown.
    requestAnimationFrame(() => requestAnimationFrame((at) => affectEdge.marker(marker, performance.timeOrigin + at)));
  }

  on_finish() {
    return {};
  }
}
