// The IAB's own JavaScript libraries as a peer: one JSON object with a string per line in, one per line out.
import { createInterface } from "node:readline";
import { TCString } from "@iabtcf/core";
import { GppModel } from "@iabgpp/cmpapi";

const members = (vector) => {
  const ids = [];
  vector.forEach((held, id) => held && ids.push(id));
  return ids;
};

const tc = (text) => {
  const model = TCString.decode(text);
  const restrictions = [];
  for (const restriction of model.publisherRestrictions.getRestrictions()) {
    for (const vendor of model.publisherRestrictions.getVendors(restriction)) {
      restrictions.push([restriction.purposeId, restriction.restrictionType, vendor]);
    }
  }
  return {
    updated: model.lastUpdated.getTime() / 100,
    consents: members(model.purposeConsents),
    interests: members(model.purposeLegitimateInterests),
    vendors: members(model.vendorConsents),
    vendor_interests: members(model.vendorLegitimateInterests),
    disclosed: text.split(".").slice(1).some((segment) => "IJKLMNOP".includes(segment[0]))
      ? members(model.vendorsDisclosed)
      : null,
    restrictions,
  };
};

const gpp = (text) => {
  const model = new GppModel(text);
  const sections = model.getSectionIds();
  const said = {};
  for (const id of sections.filter((id) => id >= 6)) {
    const name = ["uspv1", "usnat", "usca", "usva", "usco", "usut", "usct", "usfl", "usmt", "usor", "ustx", "usde", "usia", "usne", "usnh", "usnj", "ustn", "usmn"][id - 6];
    said[id] = model.getSection(name);
  }
  return { sections, said };
};

for await (const line of createInterface({ input: process.stdin })) {
  const { kind, text } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: kind === "tc" ? tc(text) : gpp(text) };
  } catch (fault) {
    answer = { error: String(fault.message ?? fault) };
  }
  console.log(JSON.stringify(answer));
}
