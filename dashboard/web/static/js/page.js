// What every page does: times in the reader's zone, confirmation before what cannot be undone.

const FORMS = {
  datetime: { dateStyle: "medium", timeStyle: "short" },
  date: { dateStyle: "medium" },
  time: { timeStyle: "medium" },
};
const formats = Object.fromEntries(
  Object.entries(FORMS).map(([name, options]) => [name, new Intl.DateTimeFormat(undefined, options)]),
);

/** Write milliseconds in the reader's time zone; form is datetime, date or time. */
export function localTime(ms, form = "datetime") {
  return formats[form].format(new Date(ms));
}

/** Turn every <time data-local> below root into the reader's time zone. */
export function localiseTimes(root) {
  for (const element of root.querySelectorAll("time[data-local]")) {
    element.textContent = localTime(Date.parse(element.dateTime), element.dataset.local);
    element.title = element.dateTime;
  }
}

/** What an <input type="datetime-local"> holds for an instant. */
export function toInputValue(ms) {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

/** Keep hidden fields of UTC milliseconds in step with the local date fields that people fill in. */
function bindLocalFields(root) {
  for (const input of root.querySelectorAll("input[type=datetime-local][data-ms-field]")) {
    const hidden = input.form.elements.namedItem(input.dataset.msField);
    if (hidden.value) input.value = toInputValue(Number(hidden.value));
    const copy = () => {
      hidden.value = input.value ? String(new Date(input.value).getTime()) : "";
    };
    input.addEventListener("input", copy);
    input.form.addEventListener("submit", copy);
  }
}

function bindConfirmations(root) {
  for (const form of root.querySelectorAll("form[data-confirm]")) {
    form.addEventListener("submit", (event) => {
      if (!window.confirm(form.dataset.confirm)) event.preventDefault();
    });
  }
}

localiseTimes(document);
bindLocalFields(document);
bindConfirmations(document);
