"""A host that bridges its cables, as macOS does with bridge0: what comes in on one goes out on all others, and nothing looks for
loops. In user space, where the kernel may have no bridge: `python3 bridge.py INTERFACE INTERFACE …` inside the host's namespace.
Frames pass with their virtio_net_hdr, so that checksums which nobody has computed yet stay so."""

import select
import socket
import struct
import sys

ETH_P_ALL = 3
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_VNET_HDR, PACKET_MR_PROMISC = 263, 1, 15, 1
FRAME_MAX = 10 + 14 + 65535  # virtio_net_hdr, Ethernet, what segmentation offload makes


def open_port(interface):
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    port.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    port.bind((interface, ETH_P_ALL))
    port.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack("iHH8x", socket.if_nametoindex(interface), PACKET_MR_PROMISC, 0))
    return port


def main():
    ports = [open_port(interface) for interface in sys.argv[1:]]
    print("ready", flush=True)
    while True:
        for port in select.select(ports, [], [])[0]:
            try:
                frame, source = port.recvfrom(FRAME_MAX)
                if source[2] != socket.PACKET_OUTGOING:
                    for other in ports:
                        if other is not port:
                            other.send(frame)
            except OSError as error:  # a cable that was pulled, or is too short for this frame
                print(error, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
