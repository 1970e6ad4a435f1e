package io.malleable.app;

import io.malleable.control.Node;
import io.malleable.control.Nodes;
import io.malleable.netboot.CloudInit;
import io.malleable.netboot.DhcpDirectory;
import io.malleable.netboot.Ipv4;
import io.malleable.netboot.MacAddress;
import java.util.Optional;

/** The control plane's nodes as DHCP sees them. Each question is one indexed read. */
final class NodesOfDhcp implements DhcpDirectory {
  private final Nodes nodes;

  NodesOfDhcp(Nodes nodes) {
    this.nodes = nodes;
  }

  @Override
  public Optional<Host> find(MacAddress mac) {
    io.malleable.control.MacAddress ours = new io.malleable.control.MacAddress(mac.toString());
    return nodes.ofMac(ours).map(node -> host(node, ours));
  }

  /** A node has one address, and the NIC that it boots from gets it. */
  private static Host host(Node node, io.malleable.control.MacAddress mac) {
    Optional<Ipv4> address =
        node.nics().getFirst().equals(mac) ? node.address().flatMap(Ipv4::parse) : Optional.empty();
    return new Host(node.name(), address, Optional.of(CloudInit.hostName(node.name())));
  }

  @Override
  public boolean isReserved(Ipv4 address) {
    return nodes.isReserved(address.toString());
  }
}
