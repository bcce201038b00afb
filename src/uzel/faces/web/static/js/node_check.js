// Choosing nodes, with a look at each: whether it answers, how far one gets, and whether its way is post-quantum.

import { get, post, put } from "./api.js";
import { fill, h } from "./dom.js";
import { has, t } from "./i18n.js";
import { icon } from "./icons.js";
import { instead, toggle } from "./page_parts.js";
import { button, field, form, mistake, submit, textInput } from "./parts.js";
import { code, line, said } from "./plain_text.js";
import { note, sentence } from "./say.js";
import { agreement } from "./status_line.js";

/** A field for one node's address, with a check that is made live and says whether it works. `input` holds what was typed. */
export function nodeField(words, value = "") {
  const input = textInput({ dir: "ltr", spellcheck: "false", placeholder: "node.example:8935", value, maxlength: "400", autocapitalize: "off" });
  const result = h("div", { class: "check", "aria-live": "polite" });
  const check = async () => {
    if (!input.value.trim()) return false;
    fill(result, h("p", { class: "hint" }, t("node.checking")));
    try {
      const [found] = (await post("/v1/nodes/check", { node: input.value.trim() })).nodes;
      fill(result, shown(found));
      return found.reachable && !found.problem;
    } catch (problem) {
      fill(result, h("p", { class: "mistake" }, sentence(problem)));
      return false;
    }
  };
  input.addEventListener("input", () => fill(result));
  const node = h("div", {}, h("div", { class: "with-button" }, field(words, input, t("node.hint")), button(t("node.check"), check)), result);
  return { node, input, check };
}

function shown(found) {
  const steps = found.steps.map((step) => h("li", { class: step.ok ? "ok" : "bad" }, icon(step.ok ? "check" : "close", 16),
    h("span", {}, has(`node.step.${step.name}`) ? t(`node.step.${step.name}`) : line(step.name, 30)),
    step.ok ? h("span", { class: "hint" }, t("node.ms", { n: Math.round(step.ms) })) : said(line(step.detail, 200), "hint")));
  const end = found.reachable && !found.problem
    ? h("p", { class: "trust good" }, icon("check", 16), t("node.good"), found.key_agreement ? ` ${agreement(found.key_agreement)}` : "")
    : h("p", { class: "mistake" }, has(`problem.${found.reason}`) ? t(`problem.${found.reason}`) : found.problem ? said(line(found.problem, 400)) : t("node.bad"));
  return [h("ol", { class: "check-steps" }, steps), found.fingerprint && h("p", { class: "hint" }, t("node.key"), " ", code(found.fingerprint)), end];
}

/** The card of one's nodes in the settings. */
export function nodesCard(signal) {
  const frame = h("div", { class: "stack" });
  const draw = async () => {
    const { nodes, roaming } = await get("/v1/nodes", signal);
    fill(frame, editor(nodes, roaming, draw));
  };
  draw().catch(instead(frame));
  return frame;
}

/** A node as it is named in a list of them. */
export const written = (node) => (node.fingerprint ? `${node.address},${node.fingerprint}` : node.address);

function editor(nodes, roaming, done) {
  const wrong = mistake();
  const keep = async (list, roam = roaming) => {
    await put("/v1/nodes", { nodes: list, roaming: roam });
    note(t("saved"));
    await done();
  };
  const save = wrong.trying(keep);
  const fresh = nodeField(t("node.add"));
  const add = async () => {
    const text = fresh.input.value.trim();
    if (text) await save([...nodes.map(written), text]);
  };
  const item = (node, index) => h("li", { class: "line" },
    h("div", { class: "line-text" }, h("p", {}, code(node.address)), h("p", { class: "hint" }, node.current ? t("node.current") : t("node.spare"))),
    index > 0 ? button(t("node.first"), () => save([written(node), ...nodes.filter((each) => each !== node).map(written)]), { kind: "quiet" }) : null,
    nodes.length > 1 && button(t("node.remove"), () => save(nodes.filter((each) => each !== node).map(written)), { kind: "danger quiet", "aria-label": t("node.remove.label", { node: node.address }) }));
  return [h("ul", { class: "plain-list" }, nodes.map(item)), nodes.length === 1 && h("p", { class: "hint" }, t("node.only")), form(add, fresh.node, wrong, h("div", { class: "row" }, submit(t("node.use"), ""))),
    toggle(t("node.roaming"), roaming, (on) => keep(nodes.map(written), on), t("node.roaming.hint"))];
}
