package io.malleable.netboot;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A DHCP engine without sockets, with a clock and a directory in the hands of the test. */
final class DhcpRig implements DhcpDirectory, BootListener {
  static final Ipv4 SERVER = address("10.1.0.1");
  static final DhcpSubnet SUBNET =
      DhcpSubnet.parse("10.1.0.0/16")
          .orElseThrow()
          .withPool(new DhcpSubnet.Range(address("10.1.200.0"), address("10.1.200.9")));

  final Map<MacAddress, Host> hosts = new HashMap<>();
  final List<DhcpExchange> exchanges = new ArrayList<>();
  final List<Ipv4> otherServers = new ArrayList<>();
  Instant now = Instant.parse("2026-11-22T12:00:00Z");
  DhcpConfig config = DhcpConfig.server("eth0", SERVER, List.of(SUBNET), 8081);
  int lookups;

  static Ipv4 address(String text) {
    return Ipv4.parse(text).orElseThrow();
  }

  static MacAddress mac(int number) {
    return new MacAddress(0x525400000000L + number);
  }

  DhcpRig host(int number, String address) {
    hosts.put(
        mac(number),
        new Host(
            "n" + number,
            Optional.of(address).filter(a -> !a.isEmpty()).map(DhcpRig::address),
            Optional.of("n" + number)));
    return this;
  }

  DhcpEngine engine() {
    try {
      Path file = Files.createTempFile("leases", "");
      file.toFile().deleteOnExit();
      return engine(LeaseJournal.open(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  DhcpEngine engine(LeaseJournal journal) {
    return new DhcpEngine(config, this, new LeaseTable(config.subnets(), journal), this, () -> now);
  }

  @Override
  public Optional<Host> find(MacAddress mac) {
    lookups++;
    return Optional.ofNullable(hosts.get(mac));
  }

  @Override
  public boolean isReserved(Ipv4 address) {
    return hosts.values().stream().anyMatch(h -> h.address().equals(Optional.of(address)));
  }

  @Override
  public void onDhcp(DhcpExchange event) {
    exchanges.add(event);
  }

  @Override
  public void onOtherDhcpServer(Ipv4 server, boolean expected) {
    otherServers.add(server);
  }
}
