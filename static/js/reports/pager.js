/** The way between the pages of a list that the server cuts into pages. */

import { fill, h, icon } from "../dom.js";
import { number } from "../format.js";

/** `turn(page)` is asked for another page; `show(page, size, total)` draws where the list is. */
export function pager(label, turn) {
  const nav = h("nav.pager", { "aria-label": `Pages of ${label}`, hidden: true });
  nav.show = (page, size, total) => {
    const pages = Math.max(1, Math.ceil(total / size));
    nav.hidden = pages === 1 && page === 1;
    const focused = [...nav.querySelectorAll("button")].indexOf(document.activeElement);
    const last = Math.min(total, page * size);
    const button = (to, name, image) =>
      h("button", { type: "button", disabled: to < 1 || to > pages, onclick: () => turn(Math.min(to, pages)) }, to < page && icon(image), name, to > page && icon(image));
    fill(
      nav,
      h("span", total && last > (page - 1) * size ? `${number((page - 1) * size + 1)}–${number(last)} of ${number(total)}` : `none of ${number(total)}`),
      h("span.spring"),
      button(Math.min(page - 1, pages), "Previous", "left"),
      button(page + 1, "Next", "right"),
    );
    const buttons = nav.querySelectorAll("button");
    if (focused >= 0) (buttons[focused].disabled ? buttons[1 - focused] : buttons[focused]).focus();
  };
  return nav;
}
