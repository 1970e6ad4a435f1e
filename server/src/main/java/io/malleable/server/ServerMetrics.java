package io.malleable.server;

import io.malleable.control.Control;
import io.malleable.control.Rows.Counts;
import io.malleable.server.ServerFacts.ListenerFacts;
import io.malleable.volume.Capacity;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.binder.jvm.JvmGcMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.micrometer.core.instrument.binder.system.ProcessorMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.function.DoubleSupplier;
import java.util.function.ToDoubleFunction;

/** What {@code /metrics} shows besides requests; read when somebody asks, kept nowhere. */
final class ServerMetrics {
  private static final List<String> LISTENERS = List.of("api", "boot", "iscsi", "tftp");

  private ServerMetrics() {}

  static void register(MeterRegistry registry, ApiPorts ports, AccessToken token) {
    ServerFacts facts = ports.facts();
    counter(registry, "m2.api.token.failures", "Calls with a wrong token", token::failures);
    target(registry, facts);
    boots(registry, facts);
    descriptors(registry, facts);
    capacity(registry, "total", facts, Capacity::totalBytes);
    capacity(registry, "available", facts, Capacity::availableBytes);
    capacity(registry, "allocated", facts, Capacity::allocatedBytes);
    counts(registry, ports.control());
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
    gauge(registry, "m2.iscsi.targets", "Targets that are defined", () -> facts.target().targets());
    gauge(
        registry,
        "m2.iscsi.sessions",
        "Sessions that are logged in",
        () -> facts.target().sessions());
    counter(
        registry,
        "m2.iscsi.read.bytes",
        "Bytes that initiators read",
        () -> facts.target().readBytes());
    counter(
        registry,
        "m2.iscsi.written.bytes",
        "Bytes that initiators wrote",
        () -> facts.target().writtenBytes());
    counter(
        registry,
        "m2.iscsi.login.failures",
        "Logins with an unknown initiator or a wrong secret",
        () -> facts.target().failedLogins());
  }

  private static void boots(MeterRegistry registry, ServerFacts facts) {
    boot(registry, "drive", () -> facts.boots().scripts());
    boot(registry, "none", () -> facts.boots().otherScripts());
    counter(
        registry,
        "m2.boot.drive.failures",
        "Drives that a firmware could not boot",
        () -> facts.boots().failedDrives());
    counter(
        registry, "m2.boot.ready", "Systems that reported to be up", () -> facts.boots().ready());
  }

  private static void descriptors(MeterRegistry registry, ServerFacts facts) {
    gauge(
        registry,
        "m2.open.files",
        "Open files and sockets of the server",
        () -> facts.descriptors().open());
    gauge(
        registry,
        "m2.max.files",
        "How many of them the system allows it",
        () -> facts.descriptors().limit());
    for (String listener : LISTENERS) {
      gauge(
          registry,
          "m2.connections",
          "Connections of a listener",
          () -> listener(facts, listener, ListenerFacts::connections),
          Tag.of("listener", listener));
      gauge(
          registry,
          "m2.max.connections",
          "How many connections a listener may have",
          () -> listener(facts, listener, ListenerFacts::budget),
          Tag.of("listener", listener));
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

  private static void boot(MeterRegistry registry, String drive, DoubleSupplier value) {
    counter(
        registry,
        "m2.boot.scripts",
        "Boot scripts that machines were given",
        value,
        Tag.of("drive", drive));
  }

  /**
   * A meter holds its source weakly and shows NaN, or the last value, once that was collected. So
   * the source is the registry itself, and what is asked is held by the function.
   */
  private static void gauge(
      MeterRegistry registry, String name, String help, DoubleSupplier value, Tag... tags) {
    Gauge.builder(name, registry, _ -> value.getAsDouble())
        .description(help)
        .tags(List.of(tags))
        .register(registry);
  }

  /** As {@link #gauge}. */
  private static void counter(
      MeterRegistry registry, String name, String help, DoubleSupplier value, Tag... tags) {
    FunctionCounter.builder(name, registry, _ -> value.getAsDouble())
        .description(help)
        .tags(List.of(tags))
        .register(registry);
  }

  private static void capacity(
      MeterRegistry registry, String kind, ServerFacts facts, ToDoubleFunction<Capacity> value) {
    gauge(
        registry,
        "m2.volumes.bytes",
        "Space of the volume store",
        () -> value.applyAsDouble(capacity(facts)),
        Tag.of("kind", kind));
  }

  private static Capacity capacity(ServerFacts facts) {
    try {
      return facts.capacity();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void counts(MeterRegistry registry, Control control) {
    resources(registry, control, "image", Counts::images);
    resources(registry, control, "disk", Counts::disks);
    resources(registry, control, "snapshot", Counts::snapshots);
    resources(registry, control, "node", Counts::nodes);
    resources(registry, control, "project", Counts::projects);
    gauge(
        registry,
        "m2.operations.unfinished",
        "Operations that are not over",
        () -> control.counts().operations());
    gauge(
        registry,
        "m2.volumes.failed",
        "Volumes that take no writes because their storage failed",
        control::failedVolumes);
  }

  private static void resources(
      MeterRegistry registry, Control control, String kind, ToDoubleFunction<Counts> value) {
    gauge(
        registry,
        "m2.resources",
        "Resources of all projects",
        () -> value.applyAsDouble(control.counts()),
        Tag.of("kind", kind));
  }
}
