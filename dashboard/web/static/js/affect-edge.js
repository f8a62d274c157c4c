// For experiments that run in a step of a protocol: sends markers and answers to the participant's page around this frame.
// An experiment loads it as "affect-edge.js" beside its page; docs/protocols.md says how.

const affectEdge = (() => {
  const now = () => performance.timeOrigin + performance.now();
  const send = (said) => window.parent.postMessage({ affectEdge: said }, "*");
  return {
    /** The present time, as `at` of the others. */
    now,
    /** Set a marker; `at` is when, if that was before now. */
    marker: (label, at = now()) => send({ marker: String(label), at }),
    /** Give the values of a trial by name; it began `at` and lasted so many milliseconds. */
    data: (values, at = now(), lasted = 0) => send({ data: { ...values }, at, lasted }),
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
