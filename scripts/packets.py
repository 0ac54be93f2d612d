"""Prints one line for each packet on a network interface, at once: what a process tried to send there. Stops when its input ends.
Left out is what the kernel says by itself on a new interface (IPv6 neighbour and group messages). Run by scripts/namespace_test.sh."""

import select
import socket
import struct
import sys

ETH_P_ALL, IPV4, IPV6 = 3, 0x0800, 0x86DD
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}
KERNELS_GROUPS = ("ff02::2", "ff02::16", "ff02::1:ff")


def main() -> None:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    wire.bind((sys.argv[1], 0))
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([wire, sys.stdin], [], [])
        # What was sent before the end of input is printed first.
        if wire in readable:
            packet, address = wire.recvfrom(65536)
            line = shown(address[1], packet)
            if line:
                print(line, flush=True)
        elif not sys.stdin.buffer.read1(1):
            return


def shown(ethertype: int, packet: bytes) -> str:
    if ethertype == IPV4 and len(packet) >= 20:
        to = socket.inet_ntop(socket.AF_INET, packet[16:20])
        return transport(packet[9], to, packet[4 * (packet[0] & 15) :])
    if ethertype == IPV6 and len(packet) >= 40:
        to = socket.inet_ntop(socket.AF_INET6, packet[24:40])
        if packet[6] in (0, 58) and to.startswith(KERNELS_GROUPS):
            return ""
        return transport(packet[6], f"[{to}]", packet[40:])
    return f"ethertype {ethertype:#06x}"


def transport(protocol: int, to: str, payload: bytes) -> str:
    name = PROTOCOLS.get(protocol, f"protocol {protocol}")
    if protocol in (6, 17) and len(payload) >= 4:
        port = struct.unpack("!H", payload[2:4])[0]
        asked = f" for {question(payload[20:])}" if (protocol, port) == (17, 53) else ""
        return f"{name} {to}:{port}{asked}"
    return f"{name} {to}"


def question(message: bytes) -> str:
    """The name that a DNS query, from behind its header on, is about."""
    labels = []
    while message and 0 < message[0] < 64:
        labels.append(message[1 : 1 + message[0]].decode("ascii", "replace"))
        message = message[1 + message[0] :]
    return ".".join(labels)


main()
