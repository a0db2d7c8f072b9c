// A raw HTTP client for the scripts here, and a seeded generator. (The load of stoa bench is another one, in C.)
import net from 'node:net';

// Mulberry32: small, seeded, good enough to choose who goes when.
export function generator(state) {
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let t = Math.imul(state ^ (state >>> 15), 1 | state);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}

// One connection, one request at a time.
export class Client {
    constructor(address, headers = {}) {
        const [host, port] = address.split(':');
        this.head = `Host: ${address}\r\n` + Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('');
        this.socket = net.connect({ host, port: Number(port) });
        this.bytes = Buffer.alloc(0);
        this.waiting = null;
        this.socket.on('data', (chunk) => this.#take(chunk));
        this.socket.on('error', () => {});
        this.socket.on('close', () => this.#settle(null));
    }

    #settle(answer) {
        const waiting = this.waiting;
        this.waiting = null;
        if (waiting) waiting(answer);
    }

    #take(chunk) {
        this.bytes = Buffer.concat([this.bytes, chunk]);
        const head = this.bytes.indexOf('\r\n\r\n');
        if (head < 0) return;
        const text = this.bytes.toString('latin1', 0, head);
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        if (this.bytes.length < head + 4 + length) return;
        const body = this.bytes.toString('utf8', head + 4, head + 4 + length);
        this.bytes = this.bytes.subarray(head + 4 + length);
        this.#settle({ status: Number(text.slice(9, 12)), body: length > 0 ? JSON.parse(body) : null });
    }

    // The answer, or null when the connection ended first.
    ask(method, path, body) {
        if (this.socket.destroyed) return Promise.resolve(null);
        const text = body === undefined ? '' : JSON.stringify(body);
        return new Promise((resolve) => {
            this.waiting = resolve;
            this.socket.write(`${method} ${path} HTTP/1.1\r\n${this.head}` +
                (text ? `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n` : '') + `\r\n${text}`);
        });
    }

    close() {
        this.socket.destroy();
    }
}
