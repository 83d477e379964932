// What node-opcua's client measures of a server, and the load that it makes. Led as tests/interop/node_opcua_client.js.
const { opcua, serve } = require("../tests/interop/node_lines.js");
const { commands, leave, operand, session, subscription } = require("../tests/interop/node_opcua_client.js");
const { AttributeIds, ClientMonitoredItemGroup, TimestampsToReturn } = opcua;

const RESULT_READY = 1024;
const READY = 1023;
const STAGES = { started: 1013, acquired: 1025, ready: READY };
const MACHINE_VISION = "http://opcfoundation.org/UA/MachineVision";

function percentiles(milliseconds) {
    const sorted = [...milliseconds].sort((one, other) => one - other);
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

// Reads of `batch` values, `inFlight` requests at a time, for some seconds: requests and values a second, ms a request.
async function reads({ nodes, batch, inFlight, seconds, ...request }) {
    const asked = nodes.map((nodeId) => ({ nodeId, attributeId: AttributeIds.Value }));
    const end = performance.now() + seconds * 1000;
    const took = [];
    let at = 0;
    const one = async () => {
        while (performance.now() < end) {
            const some = Array.from({ length: batch }, (_, index) => asked[(at + index) % asked.length]);
            at += batch;
            const began = performance.now();
            const values = await session(request).read(some, 0);
            if (values.some((value) => !value.value)) throw new Error("a value is missing");
            took.push(performance.now() - began);
        }
    };
    const began = performance.now();
    await Promise.all(Array.from({ length: inFlight }, one));
    const rate = took.length / ((performance.now() - began) / 1000);
    return { requests: rate, values: rate * batch, ...percentiles(took) };
}

async function group(request, interval, changed) {
    const made = await subscription({ ...request, interval });
    const items = request.nodes.map((nodeId) => ({ nodeId, attributeId: AttributeIds.Value }));
    const parameters = { samplingInterval: interval, queueSize: 10, discardOldest: true };
    const all = ClientMonitoredItemGroup.create(made, items, parameters, TimestampsToReturn.Source);
    all.on("changed", changed);
    await new Promise((resolve, reject) => {
        all.on("initialized", resolve);
        all.on("err", (message) => reject(new Error(message)));
    });
    return made;
}

// Notifications a second of one subscription; the first values do not count.
async function notified(request) {
    let count = 0;
    const made = await group(request, request.interval, () => (count += 1));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    count = 0;
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, request.seconds * 1000));
    const rate = count / ((performance.now() - began) / 1000);
    await made.terminate();
    return { rate, interval: made.publishingInterval };
}

async function child(request, start, ...names) {
    const index = (await session(request).readNamespaceArray()).indexOf(MACHINE_VISION);
    const path = names.map((name) => `/${index}:${name}`).join("");
    const [found] = (await commands.translate({ ...request, start, paths: [path] })) || [];
    if (found.status !== "Good") throw new Error(`no ${path} below ${start}: ${found.status}`);
    return found.ids[0];
}

async function method(request, object, name, inputs) {
    const answer = await commands.call({ ...request, object, method: await child(request, object, name), inputs });
    if (answer.status !== "Good") throw new Error(`${name}: ${answer.status}`);
    return answer.outputs.map((each) => each.value);
}

// Brings a vision system of OPC 40100-1 to Ready, with the recipe of this external id if there is one.
async function prepare({ system, recipe, ...request }) {
    const machine = await child(request, system, "VisionStateMachine");
    await method(request, machine, "SelectModeAutomatic", []).catch((error) => {
        if (!/BadInvalidState/.test(error.message)) throw error;
    });
    if (!recipe) return;
    const index = (await session(request).readNamespaceArray()).indexOf(MACHINE_VISION);
    const id = (number, value) => ({ type: "ExtensionObject", of: `ns=${index};i=${number}`, value });
    const management = await child(request, system, "RecipeManagement");
    await method(request, management, "PrepareRecipe", [id(3002, { id: recipe }), id(3013, { id: "" })]);
}

// StartSingleJob → ResultReady, one after the other: ms from the call to its answer and to the event.
async function jobs({ system, count, interval, pause, ...request }) {
    const index = (await session(request).readNamespaceArray()).indexOf(MACHINE_VISION);
    const object = await child(request, system, "VisionStateMachine", "AutomaticModeStateMachine");
    const methodId = await child(request, object, "StartSingleJob");
    const made = await subscription({ ...request, interval });
    const filter = new opcua.EventFilter({ selectClauses: [operand("EventType"), operand(`${index}:JobId`)] });
    const item = opcua.ClientMonitoredItem.create(
        made,
        { nodeId: system, attributeId: AttributeIds.EventNotifier },
        { samplingInterval: 0, queueSize: 100, discardOldest: true, filter },
        TimestampsToReturn.Neither,
    );
    const seen = new Map();
    let waiting = () => undefined;
    item.on("changed", ([type, job]) => {
        if (job.value) seen.set(`${type.value.value} ${job.value.id}`, performance.now());
        waiting();
    });
    await new Promise((resolve) => item.on("initialized", resolve));
    const told = async (type, job) => {
        const end = performance.now() + 5000;
        while (!seen.has(`${type} ${job}`)) {
            if (performance.now() > end) throw new Error(`job ${job}: no event of type ${type}`);
            await new Promise((resolve) => {
                waiting = resolve;
                setTimeout(resolve, 200);
            });
        }
        return seen.get(`${type} ${job}`);
    };
    const inputArguments = await emptyJob(request, index);
    const calls = [];
    const results = [];
    const stages = Object.fromEntries(Object.keys(STAGES).map((name) => [name, []]));
    while (results.length < count) {
        const began = performance.now();
        const answer = await session(request).call({ objectId: object, methodId, inputArguments });
        calls.push(performance.now() - began);
        if (answer.statusCode.name !== "Good") throw new Error(`StartSingleJob: ${answer.statusCode.name}`);
        const job = answer.outputArguments[0].value.id;
        results.push((await told(RESULT_READY, job)) - began);
        await told(READY, job);
        for (const [name, type] of Object.entries(STAGES)) {
            if (seen.has(`${type} ${job}`)) stages[name].push(seen.get(`${type} ${job}`) - began);
        }
        if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
    }
    await made.terminate();
    const middle = Object.fromEntries(Object.entries(stages).map(([name, each]) => [name, percentiles(each).p50]));
    return { call: percentiles(calls), result: percentiles(results), interval: made.publishingInterval, middle };
}

async function emptyJob(request, index) {
    const typed = (number) => opcua.coerceNodeId(number, index);
    const empty = (number) => session(request).constructExtensionObject(typed(number), { id: "" });
    const structures = await Promise.all([3015, 3004, 3002, 3003].map(empty));
    const one = (value) => ({ dataType: "ExtensionObject", value });
    return [...structures.map(one), { dataType: "Variant", arrayType: "Array", value: [] }];
}

// Clients without end, until the input ends: `subscribers` of all these nodes, `comers` that log in and out again and
// again, `browsers` that browse everything again and again. `loaded` says who is there and what they have done so far.
const done = { there: 0, notifications: 0, sessions: 0, browses: 0, errors: 0, last: "" };

function load(request) {
    const each = (kind, count, work) => {
        for (let number = 0; number < count; number += 1) work({ ...request, as: `${kind}${number}` });
    };
    each("subscriber", request.subscribers, (one) => once(() => listen(one)));
    each("browser", request.browsers, (one) => once(() => arrive(one)).then(() => forEver(() => look(one))));
    each("comer", request.comers, (one) => forEver(() => come(one)));
}

async function arrive(request) {
    await commands.connect(request);
    done.there += 1;
}

async function listen(request) {
    await commands.connect(request);
    await group(request, request.interval, () => (done.notifications += 1));
    done.there += 1;
}

async function once(work) {
    for (;;) {
        try {
            return await work();
        } catch (error) {
            await failed(error);
        }
    }
}

async function failed(error) {
    done.errors += 1;
    done.last = String(error.message || error);
    await new Promise((resolve) => setTimeout(resolve, 200));
}

async function forEver(work) {
    for (;;) {
        try {
            await work();
        } catch (error) {
            await failed(error);
        }
    }
}

async function come(request) {
    await commands.connect(request);
    await session(request).read({ nodeId: request.nodes[0], attributeId: AttributeIds.Value }, 0);
    await commands.disconnect(request);
    done.sessions += 1;
}

async function look(request) {
    await commands.browseAll({ ...request, root: "i=84", limit: 100000, vanishing: true });
    done.browses += 1;
}

serve({ ...commands, reads, notified, prepare, jobs, load, loaded: () => done }, leave);
