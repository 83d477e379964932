// Loads our NodeSet2 file beside the standard one, as a SCADA system would; prints what it found.
const { AddressSpace, generateAddressSpace } = require("node-opcua-address-space");
const { generateAddressSpace: generate } = require("node-opcua-address-space/nodeJS");
const { nodesets } = require("node-opcua-nodesets");

(async () => {
    const space = AddressSpace.create();
    await (generate || generateAddressSpace)(space, [nodesets.standard, nodesets.machineVision, process.argv[2]]);
    const plain = (node) => !String(node.nodeId.value).includes(".MachineVision");
    const below = (folder) => folder.findReferencesAsObject("Organizes", true).map((found) => found.browseName.name);
    const index = space.getNamespaceIndex("urn:vision-plc-gateway:stations");
    const trigger = space.findNode(`ns=${index};s=press-1.Command.TRIGGER_SEQ`);
    const values = space.findNode(`ns=${index};s=press-1.Result.VALUE`);
    const kind = space.findNode(`ns=${index};i=3001`);
    console.log(JSON.stringify({
        nodes: [...space.getNamespace(index).nodeIterator()].filter(plain).length,
        type: trigger.dataType.toString(),
        access: trigger.accessLevel,
        browseName: trigger.browseName.toString(),
        parent: trigger.parent.browseName.toString(),
        rank: values.valueRank,
        dimensions: values.arrayDimensions,
        fields: kind.getStructureDefinition().fields.map((field) => field.name),
        stations: below(space.findNode(`ns=${index};s=Stations`)),
        objects: below(space.rootFolder.objects),
    }));
    space.dispose();
})().catch((error) => { console.error(error); process.exit(1); });
