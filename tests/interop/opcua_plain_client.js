// A PLC on another stack: one trigger cycle over the variables, the structure decoded, refusals seen; prints it all.
const { OPCUAClient, AttributeIds, DataType, StatusCodes, UserTokenType } = require("node-opcua-client");

const url = process.argv[2];
const node = (path) => `ns=2;s=press-1.${path}`;
const write = (path, dataType, value) => ({
    nodeId: node(path), attributeId: AttributeIds.Value, value: { value: { dataType, value } },
});

(async () => {
    const client = OPCUAClient.create({ endpointMustExist: false, connectionStrategy: { maxRetry: 1 } });
    await client.connect(url);
    const session = await client.createSession({ type: UserTokenType.UserName, userName: "plc", password: "x" });
    const read = async (path) => session.read({ nodeId: node(path), attributeId: AttributeIds.Value });
    const until = async (path, wanted) => {
        for (let turn = 0; turn < 1000; turn++) {
            const found = await read(path);
            if (found.value.value === wanted) return found;
            await new Promise((done) => setTimeout(done, 10));
        }
        throw new Error(`${path} never became ${wanted}`);
    };
    const names = (codes) => codes.map((code) => code.name);
    const enabled = names(await session.write([write("Command.CONTROL.ENABLE", DataType.Boolean, true)]));
    await until("Status.STATUS.READY", true);
    const asked = names(await session.write([
        write("Command.TRIGGER_SEQ", DataType.UInt16, 4711),
        write("Command.PART_ID", DataType.UInt32, 65538),
        write("Command.SERIAL", DataType.String, "DMX-1"),
    ]));
    await until("Status.STATUS.RESULT_VALID", true);
    const whole = await read("ResultStructure");
    const judgement = await read("Result.JUDGEMENT");
    const [shown, refused] = [await read("Result.JUDGEMENT_TEXT"), names(await session.write([
        write("Command.PART_ID", DataType.UInt32, 1),
        write("Command.TRIGGER_SEQ", DataType.String, "x"),
        write("Result.JUDGEMENT", DataType.UInt16, 1),
    ]))];
    const part = (await read("Command.PART_ID")).value.value;
    await session.write([write("Command.RESULT_ACK_SEQ", DataType.UInt16, whole.value.value.resulT_SEQ ?? whole.value.value.RESULT_SEQ)]);
    await until("Status.STATUS.RESULT_VALID", false);
    const after = await read("Result.JUDGEMENT");
    await session.close();
    await client.disconnect();
    console.log(JSON.stringify({
        enabled, asked, refused, part, whole: whole.value.value, status: judgement.statusCode.name,
        judgement: judgement.value.value, text: shown.value.value, after: after.statusCode.name,
        time: judgement.sourceTimestamp,
    }));
})().catch((error) => { console.error(error); process.exit(1); });
