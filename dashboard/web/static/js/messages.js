// Texts, numbers and dates in the language of the page. Its texts come with /static/texts/<language>.js, which a page
// loads before its scripts; English needs none.

import { REGISTERS } from "./registers.js";

const LANGUAGE = document.documentElement.lang || "en";
const known = globalThis.affectEdgeTexts;
let mark = null; // what stands before the decimals, looked up once
const unknown = new Set(); // members that no register has, logged once each

/** The locale of numbers and dates; English ones are as in Britain: the day first, 24 hours. */
export const LOCALE = LANGUAGE === "en" ? "en-GB" : LANGUAGE;

function filled(text, places) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(places[name] ?? whole));
}

/** Return a text, its {places} filled. The text is a literal, so that it can be found for the catalogue. */
export function _(text, places = {}) {
  const found = known?.texts[text] ?? text;
  return filled(Array.isArray(found) ? found[0] : found, places);
}

/** Return the text for n things; {n} is filled with their number. */
export function ngettext(one, several, n, places = {}) {
  const forms = known?.texts[one] ?? [one, several];
  return filled(forms[known ? known.plural(n) : Number(n !== 1)], { n, ...places });
}

/** Return a name of the data, such as that of an emotion, in the page's language. */
export const said = (name) => _(name);

/** Return {says, badge} of a member of a register: its words, their {places} filled, and the class of a badge. One that
 * this page does not know is shown by its name, and logged. */
export function memberOf(register, name, places = {}) {
  const member = REGISTERS[register][name];
  if (member === undefined && !unknown.has(`${register} ${name}`)) {
    unknown.add(`${register} ${name}`);
    console.error(`unknown in ${register}: ${name}`);
  }
  const { says, tone } = member ?? { says: String(name) };
  return { says: _(says ?? "", places), badge: tone ? `badge-${tone}` : "" };
}

/** The category with the largest of the probabilities by category. */
export const nearest = (probabilities) => Object.keys(probabilities).reduce((best, name) => (probabilities[name] > probabilities[best] ? name : best));

/** Return a text of a message of the live feed in the page's language, where the message brings it. */
export const told = (text, message) => message.said?.[LANGUAGE]?.[text] ?? text;

/** Write a number with so many decimals; a negative one has a minus sign, and zero has none. */
export function figure(value, digits) {
  mark ??= (1.5).toLocaleString(LOCALE).charAt(1);
  return value.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−").replace(".", mark);
}

/** Write a range whose ends are written already; of equal ends one. */
export const between = (low, high) => (low === high ? low : _("{low} to {high}", { low, high }));

/** Write a whole number with its thousands apart. */
export const thousands = (value) => value.toLocaleString(LOCALE, { useGrouping: "always" }).replace("-", "−");
