"""The software bill of materials: what `cargo metadata` says of the crates that are linked or run at build time, with Cargo.lock's
checksums, and the models of models/manifest.toml, as CycloneDX JSON. Run by scripts/sbom.sh.

The same sources give the same document: its time is that of the last commit, its serial number is made of its contents.
"""

import json
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

# What is shipped and where: the most common of the platforms in deny.toml.
PLATFORM = "x86_64-unknown-linux-gnu"


def main(out: Path) -> None:
    metadata = json.loads(run("cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", PLATFORM))
    checksums = {
        (package["name"], package["version"]): package.get("checksum")
        for package in tomllib.loads(Path("Cargo.lock").read_text())["package"]
    }
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    macros = {id for id, package in packages.items() if any("proc-macro" in target["kind"] for target in package["targets"])}
    linked = reachable({id: node for id, node in nodes.items() if id not in macros}, root, {None})
    used = reachable(nodes, root, {None, "build"})

    bom = Bom()
    components = {id: crate(packages[id], checksums, linked=id in linked) for id in sorted(used)}
    bom.metadata.component = components[root]
    models = model_components(Path("models/manifest.toml"))
    bom.components.update(component for id, component in components.items() if id != root)
    bom.components.update(models)
    for id, component in components.items():
        needs = [components[other] for other in needed(nodes[id], {None, "build"})]
        bom.register_dependency(component, needs + (models if id == root else []))
    when = run("git", "log", "-1", "--format=%ct").strip()
    bom.metadata.timestamp = datetime.fromtimestamp(int(when), timezone.utc)
    contents = "\n".join(sorted(str(component.bom_ref.value) for component in bom.components))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"tieline {when}\n{contents}")

    text = JsonV1Dot6(bom).output_as_string(indent=2)
    faults = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text, all_errors=True)
    if faults:
        sys.exit("sbom: not CycloneDX 1.6:\n" + "\n".join(str(fault) for fault in faults))
    unlicensed = sorted(component.name for component in bom.components if not component.licenses)
    if unlicensed:
        sys.exit(f"sbom: without a licence: {', '.join(unlicensed)}")
    out.write_text(text + "\n")
    crates = len(components) - 1
    print(f"sbom: {out}: {crates} crates ({len(linked) - 1} of them linked), {len(models)} model files; valid CycloneDX 1.6")


def needed(node: dict, kinds: set) -> list:
    """The packages that one needs; tests' own are left out."""
    return [dep["pkg"] for dep in node["deps"] if any(kind["kind"] in kinds for kind in dep["dep_kinds"])]


def reachable(nodes: dict, root: str, kinds: set) -> set:
    found, todo = {root}, [root]
    while todo:
        new = [other for other in needed(nodes[todo.pop()], kinds) if other in nodes and other not in found]
        found.update(new)
        todo.extend(new)
    return found


def crate(package: dict, checksums: dict, linked: bool) -> Component:
    name, version = package["name"], package["version"]
    checksum = checksums[name, version]
    licence = (package["license"] or "").replace("/", " OR ")
    purl = PackageURL("cargo", None, name, version)
    own = package["source"] is None
    references = [(ExternalReferenceType.VCS, package["repository"]), (ExternalReferenceType.WEBSITE, package["homepage"])]
    return Component(
        type=ComponentType.APPLICATION if own else ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=str(purl),
        purl=purl,
        description=" ".join((package["description"] or "").split()) or None,
        licenses=[LicenseExpression(licence)] if licence else [],
        scope=None if own else ComponentScope.REQUIRED if linked else ComponentScope.EXCLUDED,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
        external_references=[ExternalReference(type=kind, url=XsUri(url)) for kind, url in references if url],
    )


def model_components(manifest: Path) -> list:
    """Weights and onnxruntime, which are fetched and checked by checksum, not built. Conversions differ by where they come from."""
    components = []
    for model in tomllib.loads(manifest.read_text())["model"]:
        sums = sorted({source["sha256"] for source in model["source"] if "sha256" in source})
        licence = model["licence"]
        components.append(
            Component(
                type=ComponentType.LIBRARY if model["purpose"] == "runtime" else ComponentType.MACHINE_LEARNING_MODEL,
                name=model["name"],
                bom_ref=f"model:{model['name']}",
                licenses=[DisjunctiveLicense(name=licence) if " " in licence else LicenseExpression(licence)],
                scope=ComponentScope.OPTIONAL,
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sums[0])] if len(sums) == 1 else [],
                properties=[Property(name="tieline:sha256", value=value) for value in sums],
            )
        )
    return components


def run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
