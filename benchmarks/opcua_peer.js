// node-opcua's server to compare with: variables that change, and a vision system that answers at once.
// Led by lines of JSON as tests/interop/node_opcua_server.js; its `start` makes the server.
const { opcua, serve } = require("../tests/interop/node_lines.js");
const { commands, leave, held } = require("../tests/interop/node_opcua_server.js");
const { DataType, StatusCodes, Subscription, Variant } = opcua;

const MACHINE_VISION = "http://opcfoundation.org/UA/MachineVision";
const timers = [];
Subscription.minimumPublishingInterval = 10; // its default of 50 ms would be all that is measured

const made = [];

// Variables of UInt32: {ids}.
function variables({ count }) {
    const space = held().engine.addressSpace;
    const namespace = space.getOwnNamespace();
    const folder = namespace.addFolder(space.rootFolder.objects, { browseName: "Bench" });
    for (let number = 0; number < count; number += 1) {
        const variable = namespace.addVariable({
            nodeId: `s=Bench.${number}`,
            browseName: `V${number}`,
            componentOf: folder,
            dataType: "UInt32",
            minimumSamplingInterval: 0,
            value: new Variant({ dataType: DataType.UInt32, value: 0 }),
        });
        made.push(variable);
    }
    return { ids: made.map((each) => each.nodeId.toString()) };
}

// All of them are written anew every `every` ms, or with 0 no longer.
function change({ every }) {
    timers.splice(0).forEach(clearInterval);
    let turn = 0;
    const write = () => {
        turn += 1;
        for (const each of made) each.setValueFromSource({ dataType: DataType.UInt32, value: turn });
    };
    if (every) timers.push(setInterval(write, every));
}

// A vision system whose StartSingleJob has its ResultReady `took` ms later: {system}.
function vision({ took }) {
    const space = held().engine.addressSpace;
    const index = space.getNamespaceIndex(MACHINE_VISION);
    const system = space.findObjectType("VisionSystemType", index).instantiate({
        browseName: "Vision",
        organizedBy: space.rootFolder.objects,
        namespace: space.getOwnNamespace(),
        optionals: ["VisionStateMachine.SelectModeAutomatic", "VisionStateMachine.AutomaticModeStateMachine"],
    });
    system.setEventNotifier(1);
    const machine = system.getChildByName("VisionStateMachine");
    const type = space.findEventType("ResultReadyEventType", index);
    const ready = space.findEventType("ReadyEventType", index);
    const structure = (name, value) => space.constructExtensionObject(space.findDataType(name, index), value);
    let number = 0;
    const good = (outputArguments) => ({ statusCode: StatusCodes.Good, outputArguments });
    const noError = { dataType: DataType.Int32, value: 0 };
    machine.getMethodByName("SelectModeAutomatic").bindMethod((_, __, answer) => answer(null, good([noError])));
    const start = machine.getChildByName("AutomaticModeStateMachine").getMethodByName("StartSingleJob");
    start.bindMethod((_, __, answer) => {
        number += 1;
        const job = structure("JobIdDataType", { id: `job-${number}` });
        const jobId = { dataType: DataType.ExtensionObject, value: job };
        setTimeout(() => {
            system.raiseEvent(type, {
                message: { dataType: DataType.LocalizedText, value: { text: "result" } },
                severity: { dataType: DataType.UInt16, value: 100 },
                jobId,
                resultId: {
                    dataType: DataType.ExtensionObject,
                    value: structure("ResultIdDataType", { id: `result-${number}` }),
                },
                isPartial: { dataType: DataType.Boolean, value: false },
                resultState: { dataType: DataType.Int32, value: 1 },
            });
            system.raiseEvent(ready, {
                message: { dataType: DataType.LocalizedText, value: { text: "ready" } },
                severity: { dataType: DataType.UInt16, value: 100 },
                jobId,
            });
        }, took);
        answer(null, good([jobId, noError]));
    });
    return { system: system.nodeId.toString() };
}

async function end() {
    timers.forEach(clearInterval);
    await leave();
}

serve({ ...commands, variables, change, vision }, end);
