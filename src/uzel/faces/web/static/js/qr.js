// QR codes: shown as the core draws them (an image cannot carry the second secret, so it is fetched), and read by it
// from an image or the camera, of which the page sends the greys of the pixels and nothing else.

import { raw } from "./api.js";
import { open } from "./dialogs.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { instead } from "./page_parts.js";
import { button, mistake } from "./parts.js";
import { sentence } from "./say.js";

const MOST_PIXELS = 1024 * 1024;
const CAMERA_WIDTH = 800;
const PAUSE = 250;

/** The code at this address of the core, as an image. */
export const qrImage = (path, words, signal) => drawn(() => raw("GET", path, { signal }), words, signal);

/** The code of this contact link. */
export const qrOfText = (text, words, signal) =>
  drawn(() => raw("POST", "/v1/qr/draw", { body: JSON.stringify({ link: text }), type: "application/json", signal }), words, signal);

function drawn(asking, words, signal) {
  const image = h("img", { class: "qr", alt: words, width: "220", height: "220" });
  const frame = h("div", { class: "qr-frame" }, image);
  asking().then((answer) => answer.blob()).then((blob) => {
    image.src = URL.createObjectURL(blob);
    signal.addEventListener("abort", () => URL.revokeObjectURL(image.src));
  }).catch(instead(frame));
  return frame;
}

/** The greys of a picture, made small enough. */
function greys(source, width, height) {
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  const [w, hgt] = [Math.max(1, Math.floor(width * scale)), Math.max(1, Math.floor(height * scale))];
  const canvas = new OffscreenCanvas(w, hgt);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, w, hgt);
  context.drawImage(source, 0, 0, w, hgt);
  const { data } = context.getImageData(0, 0, w, hgt);
  const pixels = new Uint8Array(w * hgt);
  for (let at = 0; at < pixels.length; at += 1) {
    pixels[at] = (data[at * 4] * 77 + data[at * 4 + 1] * 150 + data[at * 4 + 2] * 29) >> 8;
  }
  return { pixels, width: w, height: hgt };
}

async function read(source, width, height, signal) {
  const grey = greys(source, width, height);
  const answer = await raw("POST", `/v1/qr/read?width=${grey.width}&height=${grey.height}`, { body: grey.pixels, type: "application/octet-stream", signal });
  return (await answer.json()).texts;
}

/** The first code in an image file, or null. */
async function readFile(file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    return null;
  }
  const [text] = await read(picture, picture.width, picture.height);
  return text ?? null;
}

/** A button that takes an image with a code in it, also dropped or pasted; `found` is given the text. */
export function fromImage(found, wrong) {
  const take = wrong.trying(async (file) => {
    const text = file && await readFile(file);
    if (text) found(text);
    else wrong.say(t("scan.none"));
  });
  const input = h("input", { type: "file", accept: "image/*", class: "sr", tabindex: "-1", "aria-hidden": "true", onchange: () => take(input.files[0]) });
  return [button(t("scan.image"), () => input.click(), { sign: "file" }), input];
}

/** Look through the camera until a code is seen; `found` is given its text. */
export function fromCamera(found) {
  const over = new AbortController();
  const wrong = mistake();
  const video = h("video", { class: "viewfinder", muted: true, playsinline: true, "aria-label": t("scan.view") });
  const dialog = open(t("scan.camera"), [h("p", {}, t("scan.hold")), video, wrong]);
  dialog.closed.then(() => over.abort());
  look(video, over.signal).then((text) => {
    dialog.close();
    found(text);
  }).catch((problem) => {
    if (over.signal.aborted) return;
    const denied = problem.name === "NotAllowedError" ? "scan.denied" : problem.name === "NotFoundError" ? "scan.nocamera" : null;
    wrong.say(denied ? t(denied) : sentence(problem));
  });
}

async function look(video, signal) {
  const media = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
  const end = () => media.getTracks().forEach((track) => track.stop());
  signal.addEventListener("abort", end);
  try {
    signal.throwIfAborted();
    video.srcObject = media;
    await video.play();
    for (;;) {
      signal.throwIfAborted();
      const scale = Math.min(1, CAMERA_WIDTH / video.videoWidth);
      const frame = await createImageBitmap(video, { resizeWidth: Math.round(video.videoWidth * scale), resizeHeight: Math.round(video.videoHeight * scale) });
      const [text] = await read(frame, frame.width, frame.height, signal);
      frame.close();
      if (text) return text;
      await new Promise((done) => setTimeout(done, PAUSE));
    }
  } finally {
    end();
  }
}
