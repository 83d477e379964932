// A PLC as Modbus master on node's modbus-serial: one trigger cycle in sequence style. Usage: node node_master.js PORT
// Prints what it saw as one line of JSON.
const ModbusRTU = require("modbus-serial");

const READY = 1 << 1, RESULT_VALID = 1 << 5, ENABLE = 1;

async function until(holds, read) {
    const end = Date.now() + 10000;
    for (;;) {
        const words = await read();
        if (holds(words)) return words;
        if (Date.now() > end) throw new Error("waited in vain: " + words);
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

async function main() {
    const plc = new ModbusRTU();
    await plc.connectTCP("127.0.0.1", { port: Number(process.argv[2]) });
    plc.setID(1);
    plc.setTimeout(3000);
    const block = async () => (await plc.readInputRegisters(0, 64)).data;
    const saw = {};
    try {
        const signature = await plc.readInputRegisters(64, 9);
        saw.udint = signature.buffer.readUInt32BE(2);
        saw.real = signature.buffer.readFloatBE(6);
        saw.text = signature.buffer.subarray(10, 18).toString();
        saw.mirror = (await plc.readHoldingRegisters(164, 9)).data.join() === signature.data.join();
        await plc.writeRegister(0, ENABLE);
        await until((words) => words[0] & READY, block);
        saw.enabled = (await plc.readCoils(0, 16)).data.slice(0, 2);
        await plc.writeCoils(8, [true, false, true]);
        saw.user = (await plc.readHoldingRegisters(0, 1)).data[0];
        await plc.writeRegisters(0, [ENABLE, 0, 0, 0, 0, 0, 0, 0, 0x0001, 0x0002]);
        await plc.writeRegister(1, 4711);
        const shown = await until((words) => words[0] & RESULT_VALID, block);
        const bits = (await plc.readDiscreteInputs(0, 20)).data;
        saw.bits = [bits[5], bits[16], bits[17]];
        saw.result = { seq: shown[16], copy: shown[63], trigger: shown[17], part: shown[18] * 65536 + shown[19] };
        saw.judgement = shown[20];
        await plc.writeRegister(2, shown[16]);
        await until((words) => !(words[0] & RESULT_VALID), block);
        try {
            await plc.readInputRegisters(4000, 1);
        } catch (error) {
            saw.exception = error.modbusCode;
        }
    } finally {
        await new Promise((resolve) => plc.close(resolve));
    }
    console.log(JSON.stringify(saw));
}

main().catch((error) => { console.error(error.message || error); process.exit(1); });
