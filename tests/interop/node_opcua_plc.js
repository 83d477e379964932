// A PLC on node-opcua's server: its data block, and a program that asks for three parts and prints what it saw.
const { readFileSync } = require("fs");
const { OPCUAServer, OPCUACertificateManager, Variant, DataType, VariantArrayType } = require("node-opcua");

const [port, block, pki] = process.argv.slice(2);
const members = JSON.parse(readFileSync(block));
const nodes = {};
const TYPED = { Float: Float32Array, UInt16: Uint16Array };

function variant(member, value) {
  return member.length
    ? new Variant({ dataType: DataType[member.type], arrayType: VariantArrayType.Array, value: new TYPED[member.type](value) })
    : new Variant({ dataType: DataType[member.type], value });
}

const zero = (member) => (member.length ? new Array(member.length).fill(0) : { Boolean: false, String: "" }[member.type] ?? 0);
const get = (name) => nodes[name].node.readValue().value.value;
const set = (name, value) => nodes[name].node.setValueFromSource(variant(nodes[name].member, value));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(holds, what) {
  for (const end = Date.now() + 15000; !holds(); await pause(5)) if (Date.now() > end) throw new Error(`no ${what}`);
}

async function program() {
  const saw = [];
  set("CONTROL", 1);
  for (const part of [65537, 65538, 65539]) {
    await until(() => get("STATUS") & 2, "Ready");
    set("PART_ID", part);
    set("TRIGGER_SEQ", get("TRIGGER_SEQ") + 1);
    await until(() => get("STATUS") & 32 && get("Res TRIGGER_SEQ") === get("TRIGGER_SEQ"), "result");
    saw.push({
      part: get("Res PART_ID"), judgement: get("JUDGEMENT"), seq: get("RESULT_SEQ"), copy: get("RESULT_SEQ_COPY"),
      score: get("SCORE"), values: get("VALUE").length,
    });
    set("RESULT_ACK_SEQ", get("RESULT_SEQ"));
    await until(() => !(get("STATUS") & 32), "end of ResultValid");
  }
  return saw;
}

(async () => {
  const certificates = (name) => new OPCUACertificateManager({ rootFolder: `${pki}/${name}`, automaticallyAcceptUnknownCertificate: true });
  const server = new OPCUAServer({
    port: Number(port), serverCertificateManager: certificates("own"), userCertificateManager: certificates("user"),
  });
  await server.initialize();
  const { addressSpace } = server.engine;
  const space = addressSpace.registerNamespace("http://www.siemens.com/simatic-s7-opcua");
  for (const member of members) {
    const node = space.addVariable({
      organizedBy: addressSpace.rootFolder.objects, browseName: member.name, nodeId: `s=${member.node}`,
      dataType: member.type, valueRank: member.length ? 1 : -1, arrayDimensions: member.length ? [member.length] : null,
      value: variant(member, zero(member)),
    });
    nodes[member.name] = { node, member };
  }
  await server.start();
  const beat = setInterval(() => set("PLC_HEARTBEAT", (get("PLC_HEARTBEAT") % 65535) + 1), 100);
  const saw = await program();
  clearInterval(beat);
  console.log(JSON.stringify(saw));
  await server.shutdown();
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
