// A CNC as another OPC UA stack serves it (node-opcua): a channel of OPC 40502 by the official nodeset, and operands.
// Prints its port once it listens. `tool N` and `asked N` on stdin change values; R21 is written by clients.
const readline = require("node:readline");
const { OPCUAServer, DataType, Variant, nodesets, MessageSecurityMode, SecurityPolicy, StatusCodes } = require("node-opcua");

(async () => {
    const server = new OPCUAServer({
        port: Number(process.argv[2] || 0),
        hostname: "127.0.0.1",
        host: "127.0.0.1",
        nodeset_filename: [nodesets.standard, process.argv[3]],
        securityPolicies: [SecurityPolicy.None],
        securityModes: [MessageSecurityMode.None],
        allowAnonymous: true,
    });
    await server.initialize();
    const space = server.engine.addressSpace;
    const own = space.registerNamespace("SinumerikVarProvider");
    const cnc = space.getNamespaceIndex("http://opcfoundation.org/UA/CNC");
    const channel = space.findObjectType("CncChannelType", cnc).instantiate({
        browseName: "TheChannel",
        organizedBy: space.rootFolder.objects,
    });
    channel.getComponentByName("ToolId").setValueFromSource({ dataType: DataType.UInt32, value: 3 });
    channel.getComponentByName("ActProgramStatus").setValueFromSource({ dataType: DataType.Int32, value: 1 });
    const operands = own.addFolder(space.rootFolder.objects, { browseName: "Operands" });
    const operand = (id, value) => own.addVariable({
        componentOf: operands, browseName: id, nodeId: `s=${id}`, dataType: "Double",
        minimumSamplingInterval: 100, value: new Variant({ dataType: DataType.Double, value }),
    });
    const asked = operand("/Channel/Parameter/R[u1,20]", 0);
    operand("/Channel/Parameter/R[u1,21]", 0);
    readline.createInterface({ input: process.stdin }).on("line", (line) => {
        const [what, number] = line.split(" ");
        if (what === "tool") channel.getComponentByName("ToolId").setValueFromSource({ dataType: DataType.UInt32, value: Number(number) });
        if (what === "asked") asked.setValueFromSource({ dataType: DataType.Double, value: Number(number) });
        if (what === "bad") asked.setValueFromSource({ dataType: DataType.Double, value: 0 }, StatusCodes.BadDeviceFailure);
    }).on("close", () => server.shutdown(0).then(() => process.exit(0)));
    await server.start();
    console.log(`listening ${server.endpoints[0].port}`);
})().catch((error) => { console.error(error); process.exit(1); });
