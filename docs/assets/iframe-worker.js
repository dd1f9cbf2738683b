// Search in pages that are opened from a disk, where browsers start no workers: a worker's script runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    onmessage = null;

    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = this.inside = frame.contentWindow, page = inside.document, base = new URL(address, location);
      // What the script sends comes out here; what is sent to it is an event of its own window.
      inside.postMessage = data => {
        const event = new MessageEvent("message", {data});
        this.dispatchEvent(event);
        this.onmessage?.(event);
      };
      const load = source => new Promise((done, failed) => {
        const script = page.createElement("script");
        script.src = new URL(source, base);
        script.onload = done;
        script.onerror = failed;
        page.body.append(script);
      });
      inside.importScripts = async (...sources) => { for (const source of sources) await load(source); };
      this.ready = load(base);
    }

    async postMessage(data) {
      await this.ready;
      this.inside.dispatchEvent(new MessageEvent("message", {data: structuredClone(data)}));
    }

    terminate() { this.inside.frameElement.remove(); }
  };
}
