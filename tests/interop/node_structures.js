// Reads variables with node-opcua, which learns the structures from the server, and prints what it understood as JSON.
// Usage: node node_structures.js URL NODE_ID...
const { AttributeIds, OPCUAClient } = require("node-opcua-client");

async function main([url, ...nodes]) {
    const client = OPCUAClient.create({ endpointMustExist: false, connectionStrategy: { maxRetry: 0 } });
    await client.connect(url);
    const session = await client.createSession();
    const found = {};
    for (const nodeId of nodes) {
        const { statusCode, value } = await session.read({ nodeId, attributeId: AttributeIds.Value });
        found[nodeId] = { status: statusCode.name, type: value.value.constructor.name, value: value.value };
    }
    await session.close();
    await client.disconnect();
    process.stdout.write(`\n${JSON.stringify(found)}\n`);
}

main(process.argv.slice(2)).catch((error) => { console.error(error); process.exit(1); });
