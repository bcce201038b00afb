// What it means that somebody came with a program that offers less than before, and the agreement to it (D29).

import { post } from "./api.js";
import { nameOf } from "./avatar.js";
import { decide } from "./decision.js";
import { t } from "./i18n.js";

/** Tell of it, and ask. */
export function agree(contact) {
  const name = nameOf(contact);
  const steps = [t("downgraded.step.ask", { name }), t("downgraded.step.else"), t("downgraded.step.less"), t("downgraded.step.failed")];
  decide(t("downgraded.title", { name }), steps, null, t("downgraded.asked", { name }), t("downgraded.agree"),
    () => post(`/v1/contacts/${contact.uin}/agree`));
}
