package io.malleable.netboot;

import io.malleable.netboot.BootListener.DhcpExchange;
import io.malleable.netboot.BootListener.LoaderServed;
import io.malleable.netboot.BootListener.ScriptServed;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.opentest4j.AssertionFailedError;

/**
 * The program that {@link SegmentTest} runs in a network namespace: one scenario with our servers
 * and real firmware on one segment. Exit status 0 when it went as it should.
 */
final class SegmentScenarios implements BootListener, DhcpDirectory {
  private static final Duration DEADLINE = Duration.ofMinutes(4);
  private static final MacAddress FIRST = MacAddress.parse("52:54:00:77:00:01").orElseThrow();
  private static final MacAddress SECOND = MacAddress.parse("52:54:00:77:00:02").orElseThrow();
  private static final MacAddress STRANGER = MacAddress.parse("52:54:00:77:00:99").orElseThrow();

  private final Path directory;
  private final Segment segment;
  private final long startNanos = System.nanoTime();
  private final List<String> stages = new CopyOnWriteArrayList<>();
  private final List<ScriptServed> scripts = new CopyOnWriteArrayList<>();
  private final List<LoaderServed> loaders = new CopyOnWriteArrayList<>();
  private final List<DhcpExchange> exchanges = new CopyOnWriteArrayList<>();
  private final List<Ipv4> otherServers = new CopyOnWriteArrayList<>();
  private final ConcurrentHashMap<MacAddress, Host> hosts = new ConcurrentHashMap<>();

  private SegmentScenarios(Path directory) throws Exception {
    this.directory = directory;
    this.segment = new Segment(directory);
    hosts.put(FIRST, new Host("n1", Optional.of(DhcpRig.address("10.77.0.11")), Optional.of("n1")));
    hosts.put(SECOND, new Host("n2", Optional.empty(), Optional.empty()));
  }

  public static void main(String[] arguments) throws Exception {
    SegmentScenarios scenarios =
        new SegmentScenarios(Files.createDirectories(Path.of(arguments[1])));
    int status = 0;
    try {
      scenarios.run(arguments[0]);
    } catch (AssertionFailedError | Exception e) {
      e.printStackTrace();
      status = 1;
    } finally {
      scenarios.segment.stop();
    }
    scenarios.stages.forEach(System.out::println);
    System.exit(status);
  }

  private void run(String scenario) throws Exception {
    switch (scenario) {
      case "server" -> server();
      case "server-uefi" -> uefi();
      case "bios-loader" -> biosLoader();
      case "without-advertiser" -> withoutAdvertiser();
      case "proxy" -> proxy();
      case "other-server" -> otherServer();
      case "external" -> external();
      default -> throw new IllegalArgumentException(scenario);
    }
  }

  /** BIOS: two machines at once, one with an address of its own, and a stranger. */
  private void server() throws Exception {
    serve(DhcpConfig.Mode.SERVER, true);
    segment.machine(Firmware.BIOS, STRANGER);
    segment.machine(Firmware.BIOS, FIRST);
    segment.machine(Firmware.BIOS, SECOND);
    Eventually.holds("both boot", DEADLINE, () -> booted(FIRST) && booted(SECOND));
    check(!booted(STRANGER), "a stranger was served");
    check(exchanges.stream().noneMatch(e -> e.mac().equals(STRANGER)), "a stranger was answered");
    check(addressOf(FIRST).equals("10.77.0.11"), "address " + addressOf(FIRST));
    check(addressOf(SECOND).equals("10.77.0.128"), "address " + addressOf(SECOND));
    List<DhcpMessageType> order =
        exchanges.stream().filter(e -> e.mac().equals(FIRST)).map(DhcpExchange::type).toList();
    check(
        order.getFirst() == DhcpMessageType.DISCOVER && order.getLast() == DhcpMessageType.ACK,
        "exchange " + order);
  }

  /** UEFI without iPXE of its own: one machine by PXE, one by HTTP, then iPXE's turn in both. */
  private void uefi() throws Exception {
    serve(DhcpConfig.Mode.SERVER, true);
    segment.machine(Firmware.UEFI, FIRST);
    segment.machine(
        Firmware.UEFI,
        SECOND,
        "-fw_cfg",
        "name=opt/org.tianocore/IPv4PXESupport,string=n",
        "-fw_cfg",
        "name=opt/org.tianocore/IPv6PXESupport,string=n");
    Eventually.holds("both boot", DEADLINE, () -> booted(FIRST) && booted(SECOND));
    check(fetched(FIRST, "tftp") && fetched(SECOND, "http"), "loaders " + loaders);
    check(
        scripts.stream().allMatch(script -> script.firmware() == Firmware.UEFI),
        "scripts " + scripts);
  }

  /**
   * A BIOS machine whose card has no iPXE: undionly.kpxe over the card's own PXE interface. There
   * is no such ROM to be had freely, so an iPXE that only offers that interface stands in; it
   * fetches the loader, hands the card over, and from then on the loader is on its own.
   */
  private void biosLoader() throws Exception {
    serve(DhcpConfig.Mode.SERVER, true);
    segment.machineWithoutRom(
        FIRST,
        "-kernel",
        RequiredProgram.file(Path.of("/usr/lib/ipxe/ipxe.lkrn"), "ipxe").toString(),
        "-append",
        "dhcp && chain tftp://" + Segment.SERVER + "/undionly.kpxe");
    Eventually.holds("boots", DEADLINE, () -> booted(FIRST));
    check(
        loaders.size() == 1
            && loaders.getFirst().file().equals("undionly.kpxe")
            && loaders.getFirst().transport().equals("tftp"),
        "loaders " + loaders);
    check(scripts.getFirst().firmware() == Firmware.BIOS, "scripts " + scripts);
    long discovers = exchanges.stream().filter(e -> e.type() == DhcpMessageType.DISCOVER).count();
    check(discovers >= 2, "the loader asks for itself: " + exchanges);
  }

  private boolean fetched(MacAddress mac, String transport) {
    return loaders.stream()
        .anyMatch(loader ->
            loader.file().equals("ipxe.efi")
                && loader.transport().equals(transport)
                && loader.mac().equals(Optional.of(mac)));
  }

  /** What iPXE waits for when nobody says that there is no IPv6 router. */
  private void withoutAdvertiser() throws Exception {
    serve(DhcpConfig.Mode.SERVER, false);
    segment.machine(Firmware.BIOS, FIRST);
    Eventually.holds("boots", DEADLINE, () -> booted(FIRST));
  }

  /** Beside dnsmasq, which hands out addresses and knows nothing of booting. */
  private void proxy() throws Exception {
    serve(DhcpConfig.Mode.PROXY, true);
    segment.dnsmasq("--dhcp-range=10.77.0.100,10.77.0.150,1h");
    segment.machine(Firmware.BIOS, FIRST);
    segment.machine(Firmware.UEFI, SECOND);
    Eventually.holds("both boot", DEADLINE, () -> booted(FIRST) && booted(SECOND));
    check(addressOf(FIRST).startsWith("10.77.0.1"), "address " + addressOf(FIRST));
    check(
        loaders.stream().anyMatch(l -> l.file().equals("ipxe.efi") && l.transport().equals("tftp")),
        "loaders " + loaders);
    check(otherServers.equals(List.of(DhcpRig.address("10.77.0.2"))), "others " + otherServers);
  }

  /** dnsmasq alone, with the settings that we print for it. */
  private void external() throws Exception {
    serveFiles();
    Path settings = directory.resolve("m2.conf");
    Files.writeString(settings, ExternalDhcpTest.SETTINGS.dnsmasq());
    segment.dnsmasq("--dhcp-range=10.77.0.100,10.77.0.150,1h", "--conf-file=" + settings);
    segment.keep(
        RouterAdvertiser.start(
            Segment.BRIDGE, this, DhcpConfig.Strangers.IGNORE, InstantSource.system()));
    segment.machine(Firmware.BIOS, FIRST);
    segment.machine(Firmware.UEFI, SECOND);
    Eventually.holds("both boot", DEADLINE, () -> booted(FIRST) && booted(SECOND));
    check(exchanges.isEmpty(), "we are no DHCP server here: " + exchanges);
  }

  /** No machine needs to boot for it: we ask ourselves. */
  private void otherServer() throws Exception {
    segment.dnsmasq("--dhcp-range=10.77.0.100,10.77.0.150,1h", "--no-ping");
    Eventually.holds(
        "dnsmasq listens",
        DEADLINE,
        () -> Files.readString(directory.resolve("segment.log")).contains("DHCP, sockets bound"));
    serve(DhcpConfig.Mode.SERVER, false);
    Eventually.holds("dnsmasq is noticed", DEADLINE, () -> !otherServers.isEmpty());
    check(otherServers.equals(List.of(DhcpRig.address("10.77.0.2"))), "others " + otherServers);
  }

  /** The boot listener and TFTP. */
  private void serveFiles() throws Exception {
    BootHttpServer http =
        segment.keep(
            BootHttpServer.start(
                BootHttpConfig.on(new InetSocketAddress(Segment.SERVER.toInetAddress(), 8081)),
                (mac, _) ->
                    hosts.containsKey(mac)
                        ? new BootPlan.NotProvisioned(hosts.get(mac).node())
                        : new BootPlan.Unknown(),
                this));
    segment.keep(
        TftpServer.start(
            new InetSocketAddress(Segment.SERVER.toInetAddress(), 69),
            LoaderDirectory.ofDistribution(),
            http.address().getPort(),
            this));
  }

  private void serve(DhcpConfig.Mode mode, boolean advertise) throws Exception {
    serveFiles();
    DhcpConfig config = SegmentServices.onInterface(Segment.BRIDGE, mode, Optional.empty(), 8081);
    Path leases = directory.resolve("leases");
    if (advertise) {
      segment.keep(SegmentServices.start(config, this, this, InstantSource.system(), leases));
    } else {
      segment.keep(DhcpServer.start(config, this, this, InstantSource.system(), leases));
    }
  }

  private boolean booted(MacAddress mac) {
    return scripts.stream().anyMatch(script -> script.mac().equals(mac));
  }

  private String addressOf(MacAddress mac) {
    return scripts.stream()
        .filter(script -> script.mac().equals(mac))
        .map(script -> script.link().remote().getHostAddress())
        .findFirst()
        .orElse("none");
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionFailedError(what);
    }
  }

  private void stage(String what) {
    stages.add("%6.2f s  %s".formatted((System.nanoTime() - startNanos) / 1e9, what));
  }

  @Override
  public Optional<Host> find(MacAddress mac) {
    return Optional.ofNullable(hosts.get(mac));
  }

  @Override
  public void onScript(ScriptServed event) {
    stage("script " + event.mac() + " " + event.firmware());
    scripts.add(event);
  }

  @Override
  public void onLoader(LoaderServed event) {
    stage("loader " + event.file() + " " + event.transport());
    loaders.add(event);
  }

  @Override
  public void onDhcp(DhcpExchange event) {
    stage(
        "dhcp " + event.mac() + " " + event.type() + " " + event.client() + " " + event.address());
    exchanges.add(event);
  }

  @Override
  public void onOtherDhcpServer(Ipv4 server, boolean expected) {
    stage("other DHCP server " + server);
    otherServers.add(server);
  }
}
