// An OPC UA server on node-opcua, led by lines of JSON (see node_lines.js). Usage: node node_opcua_server.js
// Its nodes are those that `start` lists; what a client writes is told as it comes. Only 127.0.0.1 is served.
const { opcua, serve, say, out, dataValueOut, variantIn } = require("./node_lines.js");
const { DataType, MessageSecurityMode, SecurityPolicy, StatusCodes } = opcua;
const fs = require("node:fs");
const { X509Certificate } = require("node:crypto");

let server = null;
let setting = false;
const instances = new Map();

async function manager(folder, trusted, accept) {
    const made = new opcua.OPCUACertificateManager({
        rootFolder: folder,
        automaticallyAcceptUnknownCertificate: accept,
        disableFileWatchers: true,
    });
    await made.initialize();
    for (const file of trusted) await made.trustCertificate(new X509Certificate(fs.readFileSync(file)).raw);
    return made;
}

async function options(request) {
    const secure = request.policies || [];
    return {
        host: "127.0.0.1",
        hostname: "127.0.0.1",
        port: request.port,
        resourcePath: request.path || "/UA/plc",
        serverInfo: { applicationUri: request.applicationUri },
        certificateFile: request.certificate,
        privateKeyFile: request.key,
        serverCertificateManager: await manager(request.pki, request.trusted || [], request.accept === true),
        userCertificateManager: await manager(`${request.pki}-users`, request.trustedUsers || [], false),
        securityPolicies: [...(request.none ? ["None"] : []), ...secure].map((name) => SecurityPolicy[name]),
        securityModes: [
            ...(request.none ? [MessageSecurityMode.None] : []),
            ...(secure.length ? [MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt] : []),
        ],
        allowAnonymous: request.anonymous === true,
        userManager: { isValidUser: (name, word) => (request.users || {})[name] === word },
        nodesets: ["standard", ...(request.nodesets || [])].map((name) => opcua.nodesets[name]),
        registerServerMethod: opcua.RegisterServerMethod.HIDDEN,
        maxConnectionsPerEndpoint: request.maxConnections || 100,
        serverCapabilities: { maxSessions: request.maxSessions || 100 },
    };
}

async function start(request) {
    const made = new opcua.OPCUAServer(await options(request));
    await made.initialize();
    const space = made.engine.addressSpace;
    for (const uri of request.namespaces || []) space.registerNamespace(uri);
    for (const each of request.instances || []) instantiate(space, each);
    for (const each of request.nodes || []) await add(space, each);
    await made.start();
    server = made;
    return { url: made.getEndpointUrl(), namespaces: space.getNamespaceArray().map((each) => each.namespaceUri) };
}

async function stop() {
    if (server) await server.shutdown(0);
    server = null;
    instances.clear();
}

// "s=…" with "uri" stands in that namespace, whatever its index; an id without "uri" bears its index itself.
function idOf(space, told) {
    if (!told.uri) return opcua.coerceNodeId(told.id);
    return opcua.coerceNodeId(`ns=${space.getNamespaceIndex(told.uri)};${told.id}`);
}

// A variable {"uri", "id", "name", "type", "value", "in": an object's id}, or an object {"uri", "id", "name", "in"}.
async function add(space, told) {
    const nodeId = idOf(space, told);
    const where = told.in
        ? { componentOf: space.findNode(idOf(space, { uri: told.uri, id: told.in })) }
        : { organizedBy: space.rootFolder.objects };
    const namespace = space.getNamespace(nodeId.namespace);
    if (!told.type) return namespace.addObject({ nodeId, browseName: told.name, ...where });
    const variable = namespace.addVariable({
        nodeId,
        browseName: told.name,
        ...where,
        dataType: DataType[told.type],
        valueRank: Array.isArray(told.value) ? 1 : -1,
        minimumSamplingInterval: told.sampling || 0,
        accessLevel: told.readOnly ? "CurrentRead" : "CurrentRead | CurrentWrite",
        userAccessLevel: told.readOnly ? "CurrentRead" : "CurrentRead | CurrentWrite",
        value: await variantIn(told),
    });
    variable.on("value_changed", (data) => {
        if (!setting) say({ told: "wrote", id: told.id, ...dataValueOut(data) });
    });
}

// An object of a companion type: {"type", "uri", "name", "key", "optionals"}; it hangs in another of them as
// "in": [key, path], or below any node as "below": {"uri", "id"}; else below Objects.
function instantiate(space, told) {
    const type = space.findObjectType(told.type, space.getNamespaceIndex(told.uri));
    if (!type) throw new Error(`no type ${told.type} in ${told.uri}`);
    const where = told.in
        ? { componentOf: inside(told.in[0], told.in[1]) }
        : { organizedBy: told.below ? space.findNode(idOf(space, told.below)) : space.rootFolder.objects };
    const made = type.instantiate({
        browseName: told.name,
        optionals: told.optionals || [],
        namespace: space.getOwnNamespace(),
        ...where,
    });
    instances.set(told.key, made);
}

function inside(key, path) {
    let node = instances.get(key);
    for (const name of path ? path.split("/") : []) {
        const next = node.getChildByName(name);
        if (!next) throw new Error(`no ${name} in ${node.browseName.name}`);
        node = next;
    }
    return node;
}

function found(told) {
    const space = server.engine.addressSpace;
    const node = told.path === undefined ? space.findNode(idOf(space, told)) : inside(told.id, told.path);
    if (!node) throw new Error(`no node ${told.id}`);
    return node;
}

async function set(request) {
    for (const told of request.nodes) {
        const node = found(told);
        const value = await variantIn(told);
        const time = told.time ? new Date(told.time) : new Date();
        setting = true;
        try {
            node.setValueFromSource(value, StatusCodes[told.status || "Good"], time);
        } finally {
            setting = false;
        }
    }
}

function get(request) {
    return request.nodes.map((told) => dataValueOut(found(told).readValue()));
}

function ids(request) {
    return request.nodes.map((told) => found(told).nodeId.toString());
}

function facts() {
    return {
        sessions: server.currentSessionCount,
        subscriptions: server.currentSubscriptionCount,
        channels: server.currentChannelCount,
        sampling: out(server.engine.serverCapabilities.minSupportedSampleRate),
    };
}

const commands = { start, stop, set, get, ids, facts };

if (require.main === module) serve(commands, stop);
module.exports = { commands, leave: stop, held: () => server };
