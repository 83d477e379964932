// A PLC as Modbus server on node's modbus-serial, which the gateway polls: one trigger cycle, then what it saw as JSON.
// Usage: node node_slave.js PORT
const { ServerTCP } = require("modbus-serial");

const READY = 1 << 1, RESULT_VALID = 1 << 5, ENABLE = 1;
const COMMAND = 0, STATUS = 100;
const words = new Uint16Array(200);
const functions = new Set();

const memory = {
    getHoldingRegister: (address) => { functions.add("read one"); return words[address]; },
    getMultipleHoldingRegisters: (address, length) => {
        functions.add(`read ${length} from ${address}`);
        return Array.from(words.slice(address, address + length));
    },
    setRegister: (address, value) => { functions.add("write one"); words[address] = value; },
    setRegisterArray: (address, values) => {
        functions.add(`write ${values.length} from ${address}`);
        words.set(values, address);
    },
};
const server = new ServerTCP(memory, { host: "127.0.0.1", port: Number(process.argv[2]), debug: false, unitID: 1 });
server.on("socketError", () => {});

let state = 0, saw = {};
const program = setInterval(() => {
    const status = words[STATUS];
    if (state === 0) {
        words[COMMAND] = ENABLE;
        if (status & READY) state = 1;
    } else if (state === 1) {
        words[COMMAND + 8] = 1;
        words[COMMAND + 9] = 2;
        words[COMMAND + 1] = 4711;
        state = 2;
    } else if (state === 2 && status & RESULT_VALID) {
        const at = STATUS + 16;
        saw = { seq: words[at], copy: words[STATUS + 63], trigger: words[at + 1],
                part: words[at + 2] * 65536 + words[at + 3], judgement: words[at + 4] };
        words[COMMAND + 2] = words[at];
        state = 3;
    } else if (state === 3 && !(status & RESULT_VALID)) {
        clearInterval(program);
        console.log(JSON.stringify({ ...saw, functions: Array.from(functions).sort() }));
        server.close(() => process.exit(0));
        setTimeout(() => process.exit(0), 500);
    }
}, 10);
setTimeout(() => { console.error("nothing happened: state " + state); process.exit(1); }, 15000);
