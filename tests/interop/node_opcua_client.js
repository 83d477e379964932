// OPC UA clients on node-opcua, led by lines of JSON (see node_lines.js). Usage: node node_opcua_client.js
// Each request names a session in "as"; `connect` makes it. Values that change and events are told as they come.
const { opcua, serve, say, out, dataValueOut, variantIn } = require("./node_lines.js");
const { AttributeIds, MessageSecurityMode, NodeClass, SecurityPolicy, StatusCodes, TimestampsToReturn, UserTokenType } =
    opcua;
const { X509Certificate } = require("node:crypto");
const fs = require("node:fs");
const { generateAddressSpace } = require("node-opcua-address-space/nodeJS");

const sessions = new Map();
const managers = new Map();
const WAIT = 15000;

async function manager(folder, accept) {
    const key = `${folder} ${accept}`;
    if (!managers.has(key)) {
        const made = new opcua.OPCUACertificateManager({
            rootFolder: folder,
            automaticallyAcceptUnknownCertificate: accept,
            disableFileWatchers: true,
        });
        managers.set(key, made.initialize().then(() => made));
    }
    return managers.get(key);
}

async function client(request) {
    return opcua.OPCUAClient.create({
        applicationName: request.applicationName || "peer",
        applicationUri: request.applicationUri,
        certificateFile: request.certificate,
        privateKeyFile: request.key,
        clientCertificateManager: await manager(request.pki, request.accept !== false),
        securityMode: MessageSecurityMode[request.mode || "None"],
        securityPolicy: SecurityPolicy[request.policy || "None"],
        connectionStrategy: { maxRetry: 0, initialDelay: 100, maxDelay: 200 },
        requestedSessionTimeout: request.sessionTimeout || 30000,
        defaultTransactionTimeout: WAIT,
        transportTimeout: WAIT,
        endpointMustExist: false,
        keepSessionAlive: false,
    });
}

function identity(request) {
    if (request.userCertificate) {
        const certificateData = new X509Certificate(fs.readFileSync(request.userCertificate)).raw;
        const privateKey = fs.readFileSync(request.userKey, "ascii");
        return { type: UserTokenType.Certificate, certificateData, privateKey };
    }
    if (request.user === undefined) return { type: UserTokenType.Anonymous };
    return { type: UserTokenType.UserName, userName: request.user, password: request.password };
}

// A rude client asks for what the server did not offer: a policy, or to come without a name.
function insist(made) {
    made.findEndpoint = (url, securityMode, securityPolicyUri) => {
        const offered = made._serverEndpoints[0];
        const anonymous = new opcua.UserTokenPolicy({ policyId: "anonymous", tokenType: UserTokenType.Anonymous });
        const named = new opcua.UserTokenPolicy({ policyId: "username", tokenType: UserTokenType.UserName });
        const userIdentityTokens = [...(offered.userIdentityTokens || []), anonymous, named];
        return new opcua.EndpointDescription({ ...offered, securityMode, securityPolicyUri, userIdentityTokens });
    };
}

function session(request) {
    const found = sessions.get(request.as);
    if (!found) throw new Error(`no session ${request.as}`);
    return found.session;
}

async function connect(request) {
    const made = await client(request);
    try {
        await made.connect(request.url);
        if (request.rude) insist(made);
        const opened = await made.createSession(identity(request));
        sessions.set(request.as, { client: made, session: opened, subscriptions: new Map() });
        return { timeout: opened.timeout, namespaces: await opened.readNamespaceArray() };
    } catch (error) {
        await made.disconnect().catch(() => undefined);
        throw error;
    }
}

async function disconnect(request) {
    const { client, session } = sessions.get(request.as);
    sessions.delete(request.as);
    if (request.rude) return client.disconnect();
    await session.close(request.deleteSubscriptions !== false);
    await client.disconnect();
}

async function endpoints(request) {
    const made = await client(request);
    await made.connect(request.url);
    const found = await made.getEndpoints();
    await made.disconnect();
    return found.map((endpoint) => ({
        policy: endpoint.securityPolicyUri.split("#")[1],
        mode: MessageSecurityMode[endpoint.securityMode],
        tokens: (endpoint.userIdentityTokens || []).map((token) => UserTokenType[token.tokenType]),
    }));
}

// Of some nodes all references forward, told as [{type, id, name, class, definition}].
async function browse(request) {
    const results = await session(request).browse(
        request.nodes.map((nodeId) => ({
            nodeId,
            referenceTypeId: request.type || "References",
            includeSubtypes: true,
            browseDirection: request.direction ? opcua.BrowseDirection[request.direction] : opcua.BrowseDirection.Forward,
            resultMask: 63,
        })),
    );
    return results.map((result) => ({
        status: result.statusCode.name,
        references: (result.references || []).map((reference) => ({
            type: reference.referenceTypeId.toString(),
            id: reference.nodeId.toString(),
            name: out(reference.browseName),
            class: NodeClass[reference.nodeClass],
            definition: reference.typeDefinition.toString(),
        })),
    }));
}

// Every node below `root` along hierarchical references, `limit` at most: [{id, name, class, definition, parent}].
// With `vanishing` a node may be gone before its turn comes, as the diagnostics of somebody's session.
async function browseAll(request) {
    const seen = new Map();
    let layer = [request.root];
    while (layer.length && seen.size < request.limit) {
        const next = [];
        for (let at = 0; at < layer.length; at += 100) {
            const nodes = layer.slice(at, at + 100);
            const results = await browse({ as: request.as, nodes, type: "HierarchicalReferences" });
            results.forEach((result, index) => {
                if (request.vanishing && result.status === "BadNodeIdUnknown") return;
                if (result.status !== "Good") throw new Error(`browse of ${nodes[index]}: ${result.status}`);
                for (const reference of result.references) {
                    if (seen.has(reference.id)) continue;
                    seen.set(reference.id, { ...reference, parent: nodes[index] });
                    next.push(reference.id);
                }
            });
        }
        layer = next;
    }
    return { nodes: [...seen.values()], whole: layer.length === 0 };
}

async function read(request) {
    const nodes = request.nodes.map((nodeId) => ({
        nodeId,
        attributeId: AttributeIds[request.attribute || "Value"],
    }));
    const found = [];
    for (let at = 0; at < nodes.length; at += 200) {
        found.push(...(await session(request).read(nodes.slice(at, at + 200), 0)));
    }
    return found.map(dataValueOut);
}

function construct(request) {
    return (type, value) => session(request).constructExtensionObject(opcua.coerceNodeId(type), value);
}

async function write(request) {
    const nodes = [];
    for (const each of request.nodes) {
        const value = { value: await variantIn(each, construct(request)) };
        if (each.status) value.statusCode = StatusCodes[each.status];
        nodes.push({ nodeId: each.id, attributeId: AttributeIds[each.attribute || "Value"], value });
    }
    return (await session(request).write(nodes)).map((status) => status.name);
}

async function call(request) {
    const inputArguments = [];
    for (const each of request.inputs || []) inputArguments.push(await variantIn(each, construct(request)));
    const asked = { objectId: request.object, methodId: request.method, inputArguments };
    const result = await session(request).call(asked);
    return {
        status: result.statusCode.name,
        inputs: (result.inputArgumentResults || []).map((status) => status.name),
        outputs: (result.outputArguments || []).map((each) => out(each)),
    };
}

async function methodArguments(request) {
    const found = await session(request).getArgumentDefinition(request.method);
    const tell = (each) => ({ name: each.name, type: each.dataType.toString(), rank: each.valueRank });
    return { inputs: found.inputArguments.map(tell), outputs: found.outputArguments.map(tell) };
}

async function translate(request) {
    const paths = request.paths.map((path) => opcua.makeBrowsePath(request.start, path));
    const results = await session(request).translateBrowsePath(paths);
    return results.map((result) => ({
        status: result.statusCode.name,
        ids: (result.targets || []).map((target) => target.targetId.toString()),
    }));
}

async function subscription(request) {
    const made = await session(request).createSubscription2({
        requestedPublishingInterval: request.interval,
        requestedLifetimeCount: 6000,
        requestedMaxKeepAliveCount: 20,
        maxNotificationsPerPublish: 1000,
        publishingEnabled: true,
        priority: 1,
    });
    sessions.get(request.as).subscriptions.set(made.subscriptionId, made);
    const told = { as: request.as, subscription: made.subscriptionId };
    made.on("terminated", () => say({ told: "terminated", ...told }));
    made.on("status_changed", (status) => say({ told: "status", status: status.name, ...told }));
    return made;
}

async function monitored(made, item, sampling, filter, changed) {
    const parameters = { samplingInterval: sampling, discardOldest: true, queueSize: 100, filter };
    const item_ = opcua.ClientMonitoredItem.create(made, item, parameters, TimestampsToReturn.Both);
    item_.on("changed", changed);
    await new Promise((resolve, reject) => {
        item_.on("initialized", resolve);
        item_.on("err", (message) => reject(new Error(message)));
    });
    return { status: item_.result.statusCode.name, sampling: item_.result.revisedSamplingInterval };
}

async function subscribe(request) {
    const made = await subscription(request);
    const items = [];
    for (const id of request.nodes) {
        const item = { nodeId: id, attributeId: AttributeIds.Value };
        const told = { told: "data", as: request.as, subscription: made.subscriptionId, id };
        const changed = (data) => say({ ...told, ...dataValueOut(data) });
        items.push(await monitored(made, item, request.sampling || request.interval, undefined, changed));
    }
    return { subscription: made.subscriptionId, interval: made.publishingInterval, items };
}

// A field: "Message", "3:JobId", "EnabledState/Id"; "" is the condition's own id.
function operand(field) {
    const type = field === "" ? "ConditionType" : "BaseEventType";
    return {
        typeDefinitionId: opcua.resolveNodeId(type),
        attributeId: field === "" ? AttributeIds.NodeId : AttributeIds.Value,
        browsePath: field === "" ? [] : field.split("/").map((name) => opcua.stringToQualifiedName(name)),
    };
}

async function events(request) {
    const made = await subscription(request);
    const where = request.ofType ? opcua.makeContentFilter(opcua.ofType(request.ofType)) : undefined;
    const filter = new opcua.EventFilter({ selectClauses: request.fields.map(operand), whereClause: where });
    const item = { nodeId: request.node, attributeId: AttributeIds.EventNotifier };
    const told = { told: "event", as: request.as, subscription: made.subscriptionId };
    const changed = (values) => {
        const fields = Object.fromEntries(values.map((value, index) => [request.fields[index], out(value)]));
        say({ ...told, fields });
    };
    const { status } = await monitored(made, item, 0, filter, changed);
    return { subscription: made.subscriptionId, interval: made.publishingInterval, status };
}

async function unsubscribe(request) {
    const { subscriptions } = sessions.get(request.as);
    const made = subscriptions.get(request.subscription);
    subscriptions.delete(request.subscription);
    await made.terminate();
}

// Loads a NodeSet2 file into an address space of its own, after the standard ones it needs; what stands in namespace
// `uri` then: [{id, class, name, dataType, rank, access, definition}], ids without their namespace.
async function loadNodeset(request) {
    const space = opcua.AddressSpace.create();
    try {
        const needed = ["standard", ...(request.needs || [])].map((name) => opcua.nodesets[name]);
        await generateAddressSpace(space, [...needed, request.file]);
        const nodes = [...space.getNamespace(request.uri).nodeIterator()];
        return nodes.map((node) => ({
            id: node.nodeId.toString().replace(/^ns=\d+;/, ""),
            class: NodeClass[node.nodeClass],
            name: node.browseName.name,
            dataType: node.dataType ? node.dataType.toString() : null,
            rank: node.valueRank === undefined ? null : node.valueRank,
            access: node.accessLevel === undefined ? null : node.accessLevel,
            definition: node.typeDefinition ? node.typeDefinition.toString() : null,
        }));
    } finally {
        space.dispose();
    }
}

async function leave() {
    for (const { client } of sessions.values()) await client.disconnect().catch(() => undefined);
    for (const made of managers.values()) await (await made).dispose();
}

const commands = {
    connect,
    disconnect,
    endpoints,
    browse,
    browseAll,
    read,
    write,
    call,
    methodArguments,
    translate,
    subscribe,
    events,
    unsubscribe,
    loadNodeset,
};

if (require.main === module) serve(commands, leave);
module.exports = { commands, leave, operand, session, sessions, subscription };
