package io.malleable.server;

import io.malleable.control.Rows.Counts;
import io.malleable.server.ServerFacts.ListenerFacts;
import io.malleable.volume.Capacity;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.jvm.JvmGcMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.micrometer.core.instrument.binder.system.ProcessorMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.function.ToDoubleFunction;

/** What {@code /metrics} shows besides requests; read when somebody asks, kept nowhere. */
final class ServerMetrics {
  private static final List<String> LISTENERS = List.of("api", "boot", "iscsi", "tftp");

  private ServerMetrics() {}

  static void register(MeterRegistry registry, ApiPorts ports, AccessToken token) {
    ServerFacts facts = ports.facts();
    counter(
        registry,
        "m2.api.token.failures",
        "Calls with a wrong token",
        token,
        AccessToken::failures);
    target(registry, facts);
    boots(registry, facts);
    descriptors(registry, facts);
    capacity(registry, "total", facts, Capacity::totalBytes);
    capacity(registry, "available", facts, Capacity::availableBytes);
    capacity(registry, "allocated", facts, Capacity::allocatedBytes);
    counts(registry, ports);
    new JvmMemoryMetrics().bindTo(registry);
    new JvmThreadMetrics().bindTo(registry);
    new ProcessorMetrics().bindTo(registry);
    new UptimeMetrics().bindTo(registry);
    // Listens to the collectors for as long as the process lives.
    @SuppressWarnings("resource")
    JvmGcMetrics collectors = new JvmGcMetrics();
    collectors.bindTo(registry);
  }

  private static void target(MeterRegistry registry, ServerFacts facts) {
    Gauge.builder("m2.iscsi.targets", facts, f -> f.target().targets())
        .description("Targets that are defined")
        .register(registry);
    Gauge.builder("m2.iscsi.sessions", facts, f -> f.target().sessions())
        .description("Sessions that are logged in")
        .register(registry);
    counter(
        registry,
        "m2.iscsi.read.bytes",
        "Bytes that initiators read",
        facts,
        f -> f.target().readBytes());
    counter(
        registry,
        "m2.iscsi.written.bytes",
        "Bytes that initiators wrote",
        facts,
        f -> f.target().writtenBytes());
    counter(
        registry,
        "m2.iscsi.login.failures",
        "Logins with an unknown initiator or a wrong secret",
        facts,
        f -> f.target().failedLogins());
  }

  private static void boots(MeterRegistry registry, ServerFacts facts) {
    boot(registry, facts, "drive", f -> f.boots().scripts());
    boot(registry, facts, "none", f -> f.boots().otherScripts());
    counter(
        registry,
        "m2.boot.drive.failures",
        "Drives that a firmware could not boot",
        facts,
        f -> f.boots().failedDrives());
    counter(
        registry, "m2.boot.ready", "Systems that reported to be up", facts, f -> f.boots().ready());
  }

  private static void descriptors(MeterRegistry registry, ServerFacts facts) {
    Gauge.builder("m2.open.files", facts, f -> f.descriptors().open())
        .description("Open files and sockets of the server")
        .register(registry);
    Gauge.builder("m2.max.files", facts, f -> f.descriptors().limit())
        .description("How many of them the system allows it")
        .register(registry);
    for (String listener : LISTENERS) {
      Gauge.builder("m2.connections", facts, f -> listener(f, listener, ListenerFacts::connections))
          .description("Connections of a listener")
          .tag("listener", listener)
          .register(registry);
      Gauge.builder("m2.max.connections", facts, f -> listener(f, listener, ListenerFacts::budget))
          .description("How many connections a listener may have")
          .tag("listener", listener)
          .register(registry);
    }
  }

  /** Zero for a listener that is off. */
  private static double listener(
      ServerFacts facts, String name, ToDoubleFunction<ListenerFacts> value) {
    return facts.descriptors().listeners().stream()
        .filter(listener -> listener.name().equals(name))
        .mapToDouble(value)
        .sum();
  }

  private static void boot(
      MeterRegistry registry,
      ServerFacts facts,
      String drive,
      ToDoubleFunction<ServerFacts> value) {
    FunctionCounter.builder("m2.boot.scripts", facts, value)
        .description("Boot scripts that machines were given")
        .tag("drive", drive)
        .register(registry);
  }

  private static <T> void counter(
      MeterRegistry registry, String name, String help, T source, ToDoubleFunction<T> value) {
    FunctionCounter.builder(name, source, value).description(help).register(registry);
  }

  private static void capacity(
      MeterRegistry registry, String kind, ServerFacts facts, ToDoubleFunction<Capacity> value) {
    Gauge.builder("m2.volumes.bytes", facts, f -> value.applyAsDouble(capacity(f)))
        .description("Space of the volume store")
        .tag("kind", kind)
        .register(registry);
  }

  private static Capacity capacity(ServerFacts facts) {
    try {
      return facts.capacity();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void counts(MeterRegistry registry, ApiPorts ports) {
    resources(registry, ports, "image", Counts::images);
    resources(registry, ports, "disk", Counts::disks);
    resources(registry, ports, "snapshot", Counts::snapshots);
    resources(registry, ports, "node", Counts::nodes);
    resources(registry, ports, "project", Counts::projects);
    Gauge.builder("m2.operations.unfinished", ports, p -> p.control().counts().operations())
        .description("Operations that are not over")
        .register(registry);
  }

  private static void resources(
      MeterRegistry registry, ApiPorts ports, String kind, ToDoubleFunction<Counts> value) {
    Gauge.builder("m2.resources", ports, p -> value.applyAsDouble(p.control().counts()))
        .description("Resources of all projects")
        .tag("kind", kind)
        .register(registry);
  }
}
