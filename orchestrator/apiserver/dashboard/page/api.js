// The Kubernetes API as the page uses it: lists in pages, then a watch that goes on for ever.
//
// A browser opens six connections to a server and no more, and a watch over HTTP/1.1 keeps one for
// itself. Over HTTP/2 (any https:// server) all share one. So without it, only what must be seen at
// once is watched and the rest is read again every few seconds.

const POLL_MS = 2000;

export function isMultiplexed() {
  const [page] = performance.getEntriesByType('navigation');
  return !!page && /^h[23]/.test(page.nextHopProtocol);
}

export class Unauthorized extends Error {}

export class Api {
  constructor(token) {
    this.token = token;
  }

  async request(path, signal) {
    const headers = {Accept: 'application/json'};
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const response = await fetch(path, {headers, signal, cache: 'no-store'});
    if (response.status === 401 || response.status === 403) {
      const status = await response.json().catch(() => ({}));
      throw new Unauthorized(status.message || `the server answered ${response.status}`);
    }
    return response;
  }

  async json(path) {
    const response = await this.request(path);
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return response.json();
  }

  // Keeps `sink` told of all objects under `path`: sink.begin(), sink.put(object) ..., sink.end()
  // for a list, then sink.put and sink.drop as they change. sink.state(text) says how it goes: '' is
  // well. With `poll` by lists alone. Returns a function that ends it.
  follow(path, sink, poll = false) {
    const abort = new AbortController();
    const run = async () => {
      let pause = 500;
      while (!abort.signal.aborted) {
        try {
          let version = await this.listInto(path, sink, abort.signal);
          sink.state('');
          pause = 500;
          if (poll) await new Promise(resolve => setTimeout(resolve, POLL_MS));
          else while (version) version = await this.watchFrom(path, version, sink, abort.signal);
        } catch (error) {
          if (abort.signal.aborted) return;
          sink.state(error.message, error instanceof Unauthorized);
          if (error instanceof Unauthorized) pause = 5000;
          await new Promise(resolve => setTimeout(resolve, pause));
          pause = Math.min(pause * 2, 10000);
        }
      }
    };
    run();
    return () => abort.abort();
  }

  async listInto(path, sink, signal) {
    let next = '';
    sink.begin();
    for (;;) {
      const response = await this.request(`${path}?limit=1000${next && `&continue=${encodeURIComponent(next)}`}`, signal);
      if (response.status === 410) {
        next = '';
        sink.begin();
        continue;
      }
      if (!response.ok) throw new Error(`${path}: ${response.status}`);
      const list = await response.json();
      for (const item of list.items) sink.put(item);
      next = list.metadata.continue;
      if (!next) {
        sink.end();
        return list.metadata.resourceVersion;
      }
    }
  }

  // Returns the version from which to watch on, or null when the list must be read again.
  async watchFrom(path, version, sink, signal) {
    const response = await this.request(`${path}?watch=1&allowWatchBookmarks=true&resourceVersion=${version}`, signal);
    if (response.status === 410) return null;
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const {value, done} = await reader.read();
      if (done) return version;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (!line) continue;
        const {type, object} = JSON.parse(line);
        if (type === 'ERROR') return null;
        version = object.metadata.resourceVersion;
        if (type === 'DELETED') sink.drop(object);
        else if (type !== 'BOOKMARK') sink.put(object);
      }
    }
  }
}
