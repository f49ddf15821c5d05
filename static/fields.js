/** The fields of the form: each with its label, a hint, and its own place for what is wrong with it. */

import { el, setText } from "./dom.js";
import { roleName, text } from "./text.js";

export class Field {
  /** The name of its value in a request. */
  name;
  label;
  control;
  node;
  hint;
  #error;

  /** @param {{name: string, label: string, hint?: string, control: any, isHidden?: boolean}} options isHidden: the label is for screen readers */
  constructor({ name, label, hint = "", control, isHidden = false }) {
    const id = `field-${name}`;
    this.name = name;
    this.label = label;
    this.control = control;
    this.hint = el("p", { class: "hint", id: `${id}-hint` }, hint);
    this.#error = el("p", { class: "field-error", id: `${id}-error` });
    control.id = id;
    control.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
    this.node = el("div", { class: "field" }, el("label", { htmlFor: id, class: isHidden ? "visually-hidden" : "" }, label), control, this.hint, this.#error);
  }

  /** What is given, in the words of the API; undefined when nothing is. */
  get value() {
    return this.control.value.trim() || undefined;
  }

  /** What is wrong with it, as far as that is known here; null: nothing. @type {string | null} */
  get problem() {
    return null;
  }

  fail(message) {
    setText(this.#error, message);
    this.control.setAttribute("aria-invalid", "true");
  }

  clear() {
    setText(this.#error, "");
    this.control.removeAttribute("aria-invalid");
  }
}

/** A number, of which the server says what it may be. A person may count it in another unit than the server does. */
export class NumberField extends Field {
  #unit;
  #hintOf;
  #none;
  /** @type {import("./limits.js").Limits | null} in the unit of the person */
  #limits = null;

  /**
   * @param {{name: string, label: string, hint: string | ((limits: import("./limits.js").Limits) => string), unit?: number, none?: string}} options
   *   hint: in words, or made of the limits once they are known; unit: how many of the server's unit one of a person's is;
   *   none: what it means to give nothing where the server has no default
   */
  constructor({ name, label, hint, unit = 1, none = text.form.unlimited }) {
    const words = typeof hint === "string" ? hint : "";
    super({ name, label, hint: words, control: el("input", { type: "number", class: "input", inputMode: "decimal", step: "any" }) });
    this.#unit = unit;
    this.#none = none;
    this.#hintOf = typeof hint === "string" ? () => hint : hint;
  }

  /** @param {import("./limits.js").Limits} limits in the unit of the server */
  limit({ least, most, isAbove, isWhole, byDefault }) {
    const inUnits = (number) => (number === null ? null : number / this.#unit);
    const limits = (this.#limits = { least: inUnits(least), most: inUnits(most), isAbove, isWhole: isWhole && this.#unit === 1, byDefault: inUnits(byDefault) });
    if (limits.least !== null && !isAbove) this.control.min = String(limits.least);
    if (limits.most !== null) this.control.max = String(limits.most);
    if (limits.least < 0) this.control.inputMode = "text"; // the keyboards of phones have no minus
    this.control.step = limits.isWhole ? "1" : "any";
    this.control.placeholder = limits.byDefault === null ? this.#none : text.form.byDefault(limits.byDefault);
    setText(this.hint, this.#hintOf(limits));
  }

  get value() {
    return this.control.value === "" ? undefined : this.control.valueAsNumber * this.#unit;
  }

  get problem() {
    if (this.control.validity.badInput) return this.#range;
    return this.control.value === "" || this.#fits(this.control.valueAsNumber) ? null : this.#range;
  }

  #fits(number) {
    if (!this.#limits) return true;
    const { least, most, isAbove, isWhole } = this.#limits;
    if (least !== null && (isAbove ? number <= least : number < least)) return false;
    return (most === null || number <= most) && (!isWhole || Number.isInteger(number));
  }

  get #range() {
    return this.#limits ? text.form.range(this.#limits) : text.form.notANumber;
  }
}

/** Something that is on or off. */
export class Switch extends Field {
  #isOn = false;

  /** @param {{name: string, label: string, hint: string}} options */
  constructor({ name, label, hint }) {
    const control = el("input", { type: "checkbox" });
    super({ name, label, hint, control });
    this.node.className = "switch";
    this.node.replaceChildren(...[control, el("div", {}, ...[...this.node.children].filter((child) => child !== control))]);
  }

  /** @param {import("./limits.js").Limits} limits */
  limit({ byDefault }) {
    if (byDefault) this.#isOn = this.control.checked = this.control.defaultChecked = true;
  }

  get value() {
    return this.control.checked === this.#isOn ? undefined : this.control.checked;
  }
}

/** Roles, of which any number is chosen. */
export class Roles {
  name;
  #boxes;
  #error = el("p", { class: "field-error" });
  node;

  /** @param {{name: string, label: string, roles: string[]}} options */
  constructor({ name, label, roles }) {
    this.name = name;
    this.#boxes = roles.map((role) => el("input", { type: "checkbox", value: role }));
    const labels = this.#boxes.map((box) => el("label", { class: "switch" }, box, el("span", {}, roleName(box.value))));
    this.node = el("fieldset", {}, el("legend", {}, label), el("div", { class: "reviewers" }, ...labels), this.#error);
    this.label = label;
  }

  get control() {
    return this.#boxes[0];
  }

  get value() {
    const chosen = this.#boxes.filter((box) => box.checked).map((box) => box.value);
    return chosen.length ? chosen : undefined;
  }

  get problem() {
    return null;
  }

  fail(message) {
    setText(this.#error, message);
  }

  clear() {
    setText(this.#error, "");
  }
}
