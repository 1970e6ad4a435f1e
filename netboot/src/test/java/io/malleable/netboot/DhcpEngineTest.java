package io.malleable.netboot;

import static io.malleable.netboot.DhcpMessages.http;
import static io.malleable.netboot.DhcpMessages.ipxe;
import static io.malleable.netboot.DhcpMessages.message;
import static io.malleable.netboot.DhcpMessages.nothing;
import static io.malleable.netboot.DhcpMessages.pxe;
import static io.malleable.netboot.DhcpRig.SERVER;
import static io.malleable.netboot.DhcpRig.address;
import static io.malleable.netboot.DhcpRig.mac;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.netboot.DhcpConfig.Strangers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DhcpEngineTest {
  private final DhcpRig rig = new DhcpRig();

  private static DhcpPacket answer(DhcpEngine engine, DhcpPacket request) {
    return engine.onServerPort(request).orElseThrow().packet();
  }

  private static DhcpPacket selecting(MacAddress mac, Ipv4 wanted) {
    return message(
        DhcpMessageType.REQUEST,
        mac,
        o -> o.address(DhcpOptions.REQUESTED_ADDRESS, wanted).address(54, SERVER));
  }

  private static Optional<DhcpMessageType> typeOf(Optional<DhcpReply> reply) {
    return reply.flatMap(r -> r.packet().type());
  }

  @Test
  void nodeGetsItsOwnAddressAndEveryStageIsReported() {
    DhcpEngine engine = rig.host(1, "10.1.0.11").engine();
    DhcpPacket offer = answer(engine, message(DhcpMessageType.DISCOVER, mac(1), pxe(0)));
    assertEquals(Optional.of(DhcpMessageType.OFFER), offer.type());
    assertEquals(address("10.1.0.11"), offer.yiaddr());
    assertEquals(SERVER, offer.siaddr());
    assertEquals(Optional.of(SERVER), offer.options().address(54));
    assertEquals(Optional.of(address("255.255.0.0")), offer.options().address(1));
    assertEquals(Optional.of("n1"), offer.options().text(DhcpOptions.HOST_NAME));

    Optional<DhcpReply> ack = engine.onServerPort(selecting(mac(1), address("10.1.0.11")));
    assertEquals(Optional.of(DhcpMessageType.ACK), typeOf(ack));
    assertEquals(Ipv4.BROADCAST, ack.orElseThrow().destination());
    assertEquals(68, ack.orElseThrow().port());
    assertEquals(
        List.of(
            DhcpMessageType.DISCOVER,
            DhcpMessageType.OFFER,
            DhcpMessageType.REQUEST,
            DhcpMessageType.ACK),
        rig.exchanges.stream().map(BootListener.DhcpExchange::type).toList());
    assertEquals(Optional.of("n1"), rig.exchanges.getFirst().node());
  }

  @Test
  void eachKindOfFirmwareGetsItsLoader() {
    Map<DhcpPacket, String> expected =
        Map.ofEntries(
            Map.entry(message(DhcpMessageType.DISCOVER, mac(1), pxe(0)), "undionly.kpxe"),
            Map.entry(message(DhcpMessageType.DISCOVER, mac(1), pxe(7)), "ipxe.efi"),
            Map.entry(message(DhcpMessageType.DISCOVER, mac(1), pxe(9)), "ipxe.efi"),
            Map.entry(message(DhcpMessageType.DISCOVER, mac(1), pxe(11)), "ipxe-arm64.efi"),
            Map.entry(message(DhcpMessageType.DISCOVER, mac(1), pxe(6)), ""),
            Map.entry(
                message(DhcpMessageType.DISCOVER, mac(1), http(16)),
                "http://10.1.0.1:8081/ipxe.efi"),
            Map.entry(
                message(DhcpMessageType.DISCOVER, mac(1), http(19)),
                "http://10.1.0.1:8081/ipxe-arm64.efi"),
            Map.entry(
                message(DhcpMessageType.DISCOVER, mac(1), ipxe()),
                "http://10.1.0.1:8081/boot.ipxe"),
            Map.entry(message(DhcpMessageType.DISCOVER, mac(1), nothing()), ""));
    DhcpEngine engine = rig.host(1, "10.1.0.11").engine();
    expected.forEach((request, file) -> {
      DhcpPacket offer = answer(engine, request);
      assertEquals(file, offer.file(), request.toString());
      assertEquals(
          file, offer.options().text(DhcpOptions.BOOT_FILE_NAME).orElse(""), request.toString());
    });
  }

  @Test
  void vendorClassIsTheOneThatTheFirmwareWaitsFor() {
    DhcpEngine engine = rig.host(1, "10.1.0.11").engine();
    DhcpPacket http = answer(engine, message(DhcpMessageType.DISCOVER, mac(1), http(16)));
    assertEquals(Optional.of("HTTPClient"), http.options().text(DhcpOptions.VENDOR_CLASS));
    DhcpPacket pxe = answer(engine, message(DhcpMessageType.DISCOVER, mac(1), pxe(7)));
    assertEquals(Optional.of("PXEClient"), pxe.options().text(DhcpOptions.VENDOR_CLASS));
    assertArrayEquals(new byte[] {6, 1, 8, (byte) 255}, pxe.options().octets(43).orElseThrow());
    assertEquals(17, pxe.options().octets(97).orElseThrow().length);
    DhcpPacket system = answer(engine, message(DhcpMessageType.DISCOVER, mac(1), nothing()));
    assertFalse(system.options().has(DhcpOptions.VENDOR_CLASS));
  }

  @Test
  void strangerIsLeftToOthersUnlessToldOtherwise() {
    DhcpPacket discover = message(DhcpMessageType.DISCOVER, mac(9), pxe(0));
    DhcpEngine engine = rig.host(1, "10.1.0.11").engine();
    assertTrue(engine.onServerPort(discover).isEmpty());
    assertTrue(engine.onProxyPort(discover).isEmpty());
    assertEquals(2, engine.counters().strangers());
    assertTrue(rig.exchanges.isEmpty());

    rig.config = rig.config.withStrangers(Strangers.SERVE);
    assertEquals(address("10.1.200.0"), answer(rig.engine(), discover).yiaddr());
  }

  @Test
  void poolGivesEachMachineOneAddressUntilNoneIsLeftAndReusesTheOldestExpired() {
    rig.config = rig.config.withStrangers(Strangers.SERVE);
    DhcpEngine engine = rig.engine();
    Set<Ipv4> given = new HashSet<>();
    for (int i = 0; i < 10; i++) {
      Ipv4 offered = answer(engine, message(DhcpMessageType.DISCOVER, mac(i), nothing())).yiaddr();
      assertTrue(given.add(offered), "given twice: " + offered);
      assertEquals(
          Optional.of(DhcpMessageType.ACK),
          typeOf(engine.onServerPort(selecting(mac(i), offered))));
      rig.now = rig.now.plusSeconds(1);
    }
    DhcpPacket eleventh = message(DhcpMessageType.DISCOVER, mac(10), nothing());
    assertTrue(engine.onServerPort(eleventh).isEmpty());
    assertEquals(1, engine.counters().exhausted());
    rig.now = rig.now.plus(Duration.ofHours(12));
    assertEquals(address("10.1.200.0"), answer(engine, eleventh).yiaddr());
    assertEquals(
        address("10.1.200.7"),
        answer(engine, message(DhcpMessageType.DISCOVER, mac(7), nothing())).yiaddr());
  }

  @Test
  void poolLeavesOutAddressesOfNodesAndOurOwn() {
    rig.config =
        DhcpConfig.server("eth0", address("10.1.200.0"), List.of(DhcpRig.SUBNET), 8081)
            .withStrangers(Strangers.SERVE);
    DhcpEngine engine = rig.host(1, "10.1.200.1").host(2, "10.1.200.2").engine();
    assertEquals(
        address("10.1.200.3"),
        answer(engine, message(DhcpMessageType.DISCOVER, mac(9), nothing())).yiaddr());
  }

  @Test
  void nodeWithoutAddressOfItsOwnKeepsOneFromThePoolThroughLoaderAndSystem() {
    DhcpEngine engine = rig.host(1, "").engine();
    Ipv4 rom = answer(engine, message(DhcpMessageType.DISCOVER, mac(1), pxe(0))).yiaddr();
    Ipv4 ipxe = answer(engine, message(DhcpMessageType.DISCOVER, mac(1), ipxe())).yiaddr();
    Ipv4 system =
        answer(
                engine,
                message(
                    DhcpMessageType.DISCOVER,
                    mac(1),
                    o -> o.add(DhcpOptions.CLIENT_IDENTIFIER, new byte[] {(byte) 255, 1, 2, 3})))
            .yiaddr();
    assertEquals(rom, ipxe);
    assertEquals(rom, system);
  }

  @Test
  void wrongAddressIsRefusedAndRenewalIsAnsweredByUnicast() {
    DhcpEngine engine = rig.host(1, "10.1.0.11").engine();
    Optional<DhcpReply> nak = engine.onServerPort(selecting(mac(1), address("10.1.0.12")));
    assertEquals(Optional.of(DhcpMessageType.NAK), typeOf(nak));
    assertEquals(Ipv4.BROADCAST, nak.orElseThrow().destination());
    Optional<DhcpReply> renewal =
        engine.onServerPort(
            message(DhcpMessageType.REQUEST, mac(1), address("10.1.0.11"), Ipv4.ANY, nothing()));
    assertEquals(Optional.of(DhcpMessageType.ACK), typeOf(renewal));
    assertEquals(address("10.1.0.11"), renewal.orElseThrow().destination());
    Optional<DhcpReply> stolen =
        engine.onServerPort(
            message(DhcpMessageType.REQUEST, mac(1), address("10.1.200.5"), Ipv4.ANY, nothing()));
    assertEquals(Optional.of(DhcpMessageType.NAK), typeOf(stolen));
  }

  @Test
  void leasesOutliveARestart(@TempDir Path directory) throws Exception {
    rig.config = rig.config.withStrangers(Strangers.SERVE);
    Path file = directory.resolve("leases");
    Ipv4 before;
    try (LeaseJournal journal = LeaseJournal.open(file)) {
      DhcpEngine engine = rig.engine(journal);
      answer(engine, message(DhcpMessageType.DISCOVER, mac(1), nothing()));
      before = answer(engine, message(DhcpMessageType.DISCOVER, mac(2), nothing())).yiaddr();
      answer(engine, selecting(mac(2), before));
    }
    try (LeaseJournal journal = LeaseJournal.open(file)) {
      DhcpEngine engine = rig.engine(journal);
      assertEquals(
          Optional.of(DhcpMessageType.ACK),
          typeOf(
              engine.onServerPort(
                  message(DhcpMessageType.REQUEST, mac(2), before, Ipv4.ANY, nothing()))));
      assertNotEquals(
          before, answer(engine, message(DhcpMessageType.DISCOVER, mac(3), nothing())).yiaddr());
    }
  }

  @Test
  void machineWhoseLeaseRecordWasLostGetsItsAddressBackIfItIsFree() {
    DhcpEngine engine = rig.host(1, "").host(2, "").engine();
    DhcpPacket renewal =
        message(DhcpMessageType.REQUEST, mac(1), address("10.1.200.4"), Ipv4.ANY, nothing());
    assertEquals(Optional.of(DhcpMessageType.ACK), typeOf(engine.onServerPort(renewal)));
    DhcpPacket thief =
        message(DhcpMessageType.REQUEST, mac(2), address("10.1.200.4"), Ipv4.ANY, nothing());
    assertEquals(Optional.of(DhcpMessageType.NAK), typeOf(engine.onServerPort(thief)));
  }

  @Test
  void declinedAddressIsLaidAsideAndReleasedOneIsFree() {
    DhcpEngine engine = rig.host(1, "").host(2, "").engine();
    Ipv4 first = answer(engine, message(DhcpMessageType.DISCOVER, mac(1), nothing())).yiaddr();
    engine.onServerPort(
        message(DhcpMessageType.DECLINE, mac(1), o -> o.address(50, first).address(54, SERVER)));
    Ipv4 second = answer(engine, message(DhcpMessageType.DISCOVER, mac(1), nothing())).yiaddr();
    assertNotEquals(first, second);
    answer(engine, selecting(mac(1), second));
    engine.onServerPort(message(DhcpMessageType.RELEASE, mac(1), second, Ipv4.ANY, nothing()));
    assertEquals(
        second,
        answer(engine, message(DhcpMessageType.DISCOVER, mac(2), o -> o.address(50, second)))
            .yiaddr());
  }

  @Test
  void addressReservedWhileAnotherMachineHasItIsGivenWhenThatLeaseHasEnded() {
    DhcpEngine engine = rig.host(2, "").engine();
    Ipv4 contested = answer(engine, message(DhcpMessageType.DISCOVER, mac(2), nothing())).yiaddr();
    answer(engine, selecting(mac(2), contested));
    rig.host(1, contested.toString());
    DhcpPacket discover = message(DhcpMessageType.DISCOVER, mac(1), nothing());
    DhcpPacket renewal = message(DhcpMessageType.REQUEST, mac(2), contested, Ipv4.ANY, nothing());
    assertTrue(engine.onServerPort(discover).isEmpty());
    assertTrue(engine.onServerPort(selecting(mac(1), contested)).isEmpty());
    assertEquals(1, engine.counters().exhausted());
    rig.now = rig.now.plus(Duration.ofHours(6));
    assertEquals(
        Optional.of(DhcpMessageType.ACK),
        typeOf(engine.onServerPort(renewal)),
        "a machine that runs keeps what its drive hangs on");
    rig.now = rig.now.plus(Duration.ofHours(11));
    assertTrue(engine.onServerPort(discover).isEmpty());
    rig.now = rig.now.plus(Duration.ofHours(1));
    assertEquals(contested, answer(engine, discover).yiaddr());
    assertEquals(
        Optional.of(DhcpMessageType.ACK),
        typeOf(engine.onServerPort(selecting(mac(1), contested))));
    assertEquals(
        Optional.of(DhcpMessageType.NAK),
        typeOf(engine.onServerPort(renewal)),
        "one that comes back late does not get it beside its new owner");
  }

  @Test
  void serversOwnAddressIsGivenToNobody() {
    DhcpEngine engine = rig.host(1, SERVER.toString()).engine();
    assertTrue(engine.onServerPort(message(DhcpMessageType.DISCOVER, mac(1), nothing())).isEmpty());
    assertTrue(engine.onServerPort(selecting(mac(1), SERVER)).isEmpty());
  }

  @Test
  void reservedAddressThatItsMachineFoundInUseRestsForAWhile() {
    DhcpEngine engine = rig.host(1, "10.1.0.11").engine();
    Ipv4 own = address("10.1.0.11");
    DhcpPacket discover = message(DhcpMessageType.DISCOVER, mac(1), nothing());
    assertEquals(own, answer(engine, discover).yiaddr());
    engine.onServerPort(
        message(DhcpMessageType.DECLINE, mac(1), o -> o.address(50, own).address(54, SERVER)));
    assertTrue(engine.onServerPort(discover).isEmpty());
    rig.now = rig.now.plus(Duration.ofMinutes(10));
    assertEquals(own, answer(engine, discover).yiaddr());
  }

  @Test
  void relayGetsTheAnswerWithItsInformationAndChoosesTheSubnet() {
    DhcpSubnet remote = DhcpSubnet.parse("10.9.0.0/24").orElseThrow();
    rig.config = DhcpConfig.server("eth0", SERVER, List.of(DhcpRig.SUBNET, remote), 8081);
    DhcpEngine engine = rig.host(1, "10.9.0.7").engine();
    byte[] information = {1, 4, 1, 2, 3, 4};
    DhcpReply reply =
        engine
            .onServerPort(
                message(
                    DhcpMessageType.DISCOVER,
                    mac(1),
                    Ipv4.ANY,
                    address("10.9.0.1"),
                    pxe(0).andThen(o -> o.add(82, information))))
            .orElseThrow();
    assertEquals(address("10.9.0.1"), reply.destination());
    assertEquals(67, reply.port());
    assertEquals(address("10.9.0.7"), reply.packet().yiaddr());
    assertEquals(Optional.of(address("255.255.255.0")), reply.packet().options().address(1));
    assertArrayEquals(information, reply.packet().options().octets(82).orElseThrow());

    DhcpReply byLink =
        engine
            .onServerPort(
                message(
                    DhcpMessageType.DISCOVER,
                    mac(1),
                    Ipv4.ANY,
                    address("192.0.2.1"),
                    o -> o.add(82, new byte[] {5, 4, 10, 9, 0, 0})))
            .orElseThrow();
    assertEquals(address("10.9.0.7"), byLink.packet().yiaddr());
    assertTrue(
        engine
            .onServerPort(
                message(
                    DhcpMessageType.DISCOVER, mac(1), Ipv4.ANY, address("192.0.2.1"), nothing()))
            .isEmpty());
  }

  @Test
  void proxyAddsTheBootFileAndLeavesTheAddressToTheOtherServer() {
    rig.config = DhcpConfig.proxy("eth0", SERVER, 8081);
    DhcpEngine engine = rig.host(1, "").engine();
    DhcpPacket offer = answer(engine, message(DhcpMessageType.DISCOVER, mac(1), pxe(0)));
    assertEquals(Ipv4.ANY, offer.yiaddr());
    assertEquals("undionly.kpxe", offer.file());
    assertFalse(offer.options().has(DhcpOptions.LEASE_SECONDS));
    assertTrue(engine.onServerPort(selecting(mac(1), address("10.1.0.50"))).isEmpty());
    DhcpPacket ack =
        engine.onProxyPort(message(DhcpMessageType.REQUEST, mac(1), pxe(7))).orElseThrow();
    assertEquals(Optional.of(DhcpMessageType.ACK), ack.type());
    assertEquals("ipxe.efi", ack.file());
    assertTrue(engine.onServerPort(message(DhcpMessageType.DISCOVER, mac(1), nothing())).isEmpty());
  }

  @Test
  void otherServerIsReportedOnceAndAgainAfterAnHour() {
    DhcpEngine engine = rig.host(1, "10.1.0.11").engine();
    DhcpPacket request =
        message(DhcpMessageType.REQUEST, mac(5), o -> o.address(54, address("10.1.0.254")));
    assertTrue(engine.onServerPort(request).isEmpty());
    engine.onServerPort(request);
    assertEquals(List.of(address("10.1.0.254")), rig.otherServers);
    rig.now = rig.now.plus(Duration.ofMinutes(61));
    engine.onServerPort(request);
    assertEquals(2, rig.otherServers.size());
  }

  @Test
  void ourOwnQuestionForOtherServersIsNotAnsweredByUs() {
    rig.config = rig.config.withStrangers(Strangers.SERVE);
    DhcpEngine engine = rig.engine();
    assertTrue(engine.onServerPort(engine.probe(mac(77))).isEmpty());
    assertTrue(rig.exchanges.isEmpty());
  }

  @Test
  void stormOfOneMachineIsThrottledAndOthersAreServed() {
    DhcpEngine engine = rig.host(1, "10.1.0.11").host(2, "10.1.0.12").engine();
    for (int i = 0; i < 10_000; i++) {
      engine.onServerPort(message(DhcpMessageType.DISCOVER, mac(1), pxe(0)));
    }
    assertEquals(32, engine.counters().answered());
    assertEquals(10_000 - 32, engine.counters().throttled());
    assertTrue(engine.onServerPort(message(DhcpMessageType.DISCOVER, mac(2), pxe(0))).isPresent());
    rig.now = rig.now.plusSeconds(10);
    assertTrue(engine.onServerPort(message(DhcpMessageType.DISCOVER, mac(1), pxe(0))).isPresent());
  }

  @Test
  void floodOfInventedMachinesTakesBoundedMemory() {
    StormGuard guard = new StormGuard();
    for (int i = 0; i < 100_000; i++) {
      guard.admits(mac(i), 1);
    }
    assertEquals(16_384, guard.size());
  }

  @Test
  void costOfAnAnswerDoesNotGrowWithTheNumberOfNodes() {
    Map<Integer, Integer> lookupsByNodes = new TreeMap<>();
    List<Long> nanos = new ArrayList<>();
    for (int nodes : new int[] {10, 10_000}) {
      DhcpRig rack = new DhcpRig();
      for (int i = 0; i < nodes; i++) {
        rack.host(i, "10.1." + i / 250 + "." + (i % 250 + 2));
      }
      DhcpEngine engine = rack.engine();
      int before = rack.lookups;
      for (int i = 0; i < nodes; i++) {
        DhcpPacket discover = message(DhcpMessageType.DISCOVER, mac(i), pxe(0));
        long start = System.nanoTime();
        DhcpPacket offer = answer(engine, discover);
        answer(engine, selecting(mac(i), offer.yiaddr()));
        nanos.add(System.nanoTime() - start);
      }
      lookupsByNodes.put(nodes, (rack.lookups - before) / nodes);
    }
    nanos.sort(null);
    System.out.printf(
        "DISCOVER+REQUEST of %d nodes: median %.1f us, p99 %.1f us%n",
        nanos.size(), nanos.get(nanos.size() / 2) / 1e3, nanos.get(nanos.size() * 99 / 100) / 1e3);
    assertEquals(Map.of(10, 2, 10_000, 2), lookupsByNodes);
  }

  @Test
  void replyFitsIntoWhatEveryClientTakes() {
    DhcpEngine engine = rig.host(1, "10.1.0.11").engine();
    byte[] large = new byte[900];
    DhcpPacket offer =
        answer(
            engine,
            message(
                DhcpMessageType.DISCOVER,
                mac(1),
                ipxe().andThen(o -> o.add(82, large).add(61, large))));
    assertTrue(DhcpCodec.encode(offer).length <= 548, "RFC 2131 2: 576 less IP and UDP headers");
  }
}
