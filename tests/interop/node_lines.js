// What both OPC UA programs of this folder share: requests and answers as lines of JSON, and values as JSON.
// In:  {"id": 1, "do": "read", …}   Out: {"id": 1, "ok": …} or {"id": 1, "error": "…", "status": "Bad…"}
// Told without being asked: {"told": "data", …}. The end of the input ends the program.
const readline = require("node:readline");

// node-opcua talks on the console: only answers may stand on the standard output.
for (const name of ["log", "info", "warn", "debug"]) console[name] = console.error;

const opcua = require("node-opcua");
const { OpaqueStructure } = require("node-opcua-extension-object");
const { DataType, VariantArrayType, Variant, StatusCodes } = opcua;

function say(message) {
    process.stdout.write(JSON.stringify(message) + "\n");
}

function statusIn(error) {
    const service = error.response && error.response.responseHeader && error.response.responseHeader.serviceResult;
    if (service) return service.name;
    const found = /\bBad[A-Z][A-Za-z]+/.exec(String(error.message || error));
    return found ? found[0] : "";
}

function serve(commands, leave) {
    const lines = readline.createInterface({ input: process.stdin });
    lines.on("line", async (line) => {
        const request = JSON.parse(line);
        try {
            const ok = await commands[request.do](request);
            say({ id: request.id, ok: ok === undefined ? null : ok });
        } catch (error) {
            say({ id: request.id, error: String(error.message || error), status: statusIn(error) });
        }
    });
    lines.on("close", async () => {
        setTimeout(() => process.exit(1), 5000).unref();
        await leave();
        process.exit(0);
    });
    say({ told: "ready" });
}

function number(value) {
    return Number.isFinite(value) ? value : { $float: String(value) };
}

function whole(pair) {
    return Array.isArray(pair) ? Number((BigInt(pair[0] >>> 0) << 32n) | BigInt(pair[1] >>> 0)) : pair;
}

const OBJECTS = [
    [Date, (value) => value.toISOString()],
    [Buffer, (value) => ({ $bytes: value.toString("hex") })],
    [opcua.NodeId, (value) => value.toString()],
    [opcua.StatusCode, (value) => value.name],
    [opcua.QualifiedName, (value) => `${value.namespaceIndex}:${value.name}`],
    [opcua.LocalizedText, (value) => ({ text: value.text || "", locale: value.locale || "" })],
    [Variant, variantOut],
    [opcua.DataValue, dataValueOut],
];

function out(value, dataType) {
    if (value === null || value === undefined) return null;
    if (typeof value === "number") return number(value);
    if (typeof value !== "object") return value;
    if (dataType === DataType.Int64 || dataType === DataType.UInt64) return whole(value);
    for (const [kind, tell] of OBJECTS) if (value instanceof kind) return tell(value);
    if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value, (each) => out(each));
    return structureOut(value);
}

function structureOut(value) {
    const told = { $: value.constructor.name };
    if (value instanceof OpaqueStructure) return { $: "Opaque", encoding: value.nodeId.toString() };
    for (const [name, field] of Object.entries(value)) {
        if (!name.startsWith("_") && typeof field !== "function" && name !== "schema") told[name] = out(field);
    }
    return told;
}

function variantOut(variant) {
    const array = variant.arrayType !== VariantArrayType.Scalar;
    const one = (value) => out(value, variant.dataType);
    const value = array && variant.value ? Array.from(variant.value, one) : one(variant.value);
    return { type: DataType[variant.dataType], array, value };
}

function dataValueOut(data) {
    return {
        status: data.statusCode.name,
        ...(data.value ? variantOut(data.value) : { type: "Null", array: false, value: null }),
        source: out(data.sourceTimestamp),
        server: out(data.serverTimestamp),
    };
}

const SHAPES = {
    DateTime: (value) => new Date(value),
    ByteString: (value) => Buffer.from(value, "hex"),
    NodeId: (value) => opcua.coerceNodeId(value),
    LocalizedText: (value) => opcua.coerceLocalizedText(value),
    QualifiedName: (value) => opcua.coerceQualifiedName(value),
    StatusCode: (value) => StatusCodes[value],
    Variant: (value) => value,
};

// {"type": "UInt16", "value": 5}, {"type": "Double", "value": [1, 2]}; an array is told by its value, or by "array".
// A structure: {"type": "ExtensionObject", "of": "ns=3;i=3015", "value": {…}}; `construct` makes it of the plain object.
async function variantIn(told, construct) {
    if (told.type === "Null" || told.type === undefined) return new Variant({ dataType: DataType.Null });
    const shape = told.type === "ExtensionObject" ? (value) => construct(told.of, value) : SHAPES[told.type];
    const one = async (value) => (shape && value !== null ? await shape(value) : value);
    const array = told.array === undefined ? Array.isArray(told.value) : told.array;
    const value = Array.isArray(told.value) ? await Promise.all(told.value.map(one)) : await one(told.value);
    const arrayType = array ? VariantArrayType.Array : VariantArrayType.Scalar;
    return new Variant({ dataType: DataType[told.type], arrayType, value });
}

module.exports = { opcua, serve, say, out, dataValueOut, variantIn };
