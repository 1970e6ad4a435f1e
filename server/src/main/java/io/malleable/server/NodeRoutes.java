package io.malleable.server;

import io.malleable.control.AfterHostCrash;
import io.malleable.control.Boot;
import io.malleable.control.BootDrive;
import io.malleable.control.ControlException;
import io.malleable.control.ErrorCode;
import io.malleable.control.Firmware;
import io.malleable.control.MacAddress;
import io.malleable.control.Node;
import io.malleable.control.NodeSpec;
import io.malleable.control.Nodes;
import io.malleable.control.Operation;
import io.malleable.control.PowerAction;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** {@code /v1/nodes} without their consoles. */
final class NodeRoutes {
  private static final String DEFAULT_ARCH = "x86_64";

  private final Context context;
  private final Nodes nodes;

  NodeRoutes(Context context) {
    this.context = context;
    this.nodes = context.control().nodes();
  }

  List<Route> routes() {
    return List.of(
        Route.of("GET", "/v1/nodes", this::list, "limit", "cursor"),
        Route.of("POST", "/v1/nodes", this::add),
        Route.of("GET", "/v1/nodes/{node}", this::get),
        Route.of("PATCH", "/v1/nodes/{node}", this::change),
        Route.of("DELETE", "/v1/nodes/{node}", this::delete),
        Route.of("POST", "/v1/nodes/{node}/provision", this::provision),
        Route.of("POST", "/v1/nodes/{node}/release", this::release),
        Route.of("POST", "/v1/nodes/{node}/failover", this::failover),
        Route.of("GET", "/v1/nodes/{node}/power", this::power),
        Route.of("POST", "/v1/nodes/{node}/power", this::switchPower),
        Route.of("GET", "/v1/nodes/{node}/explain", this::explain),
        Route.of("GET", "/v1/machines", this::machines));
  }

  private Answer list(Call call) {
    return Answer.json(
        200, PageBody.of(nodes.list(context.project(call), call.page()), NodeBody::of));
  }

  private Answer add(Call call) {
    NodeBody.Add wanted = call.body(NodeBody.Add.class);
    NodeSpec spec =
        new NodeSpec(
            Required.field("name", wanted.name()),
            macs(Required.field("nics", wanted.nics())),
            firmware(Optional.ofNullable(wanted.firmware()).orElse("bios")),
            Optional.ofNullable(wanted.arch()).orElse(DEFAULT_ARCH),
            Optional.ofNullable(wanted.bmc()),
            Optional.ofNullable(wanted.address()),
            sshKeys(wanted.sshKeys()),
            Optional.ofNullable(wanted.afterHostCrash())
                .map(AfterHostCrash::parse)
                .orElse(AfterHostCrash.REBOOT));
    Node node = nodes.add(context.project(call), spec);
    return answer(201, node).with("Location", "/v1/nodes/" + node.id());
  }

  private Answer get(Call call) {
    return answer(200, nodes.get(context.project(call), call.variable("node")));
  }

  private Answer change(Call call) {
    NodeBody.Add wanted = call.body(NodeBody.Add.class);
    UUID project = context.project(call);
    Node before = nodes.get(project, call.variable("node"));
    List<NodeBody.@Nullable Nic> nics = wanted.nics();
    String firmware = wanted.firmware();
    NodeSpec spec =
        new NodeSpec(
            Optional.ofNullable(wanted.name()).orElse(before.name()),
            nics == null ? before.nics() : macs(nics),
            firmware == null ? before.firmware() : firmware(firmware),
            Optional.ofNullable(wanted.arch()).orElse(before.arch()),
            call.bodyHas("bmc") ? Optional.ofNullable(wanted.bmc()) : before.bmc(),
            call.bodyHas("address") ? Optional.ofNullable(wanted.address()) : before.address(),
            wanted.sshKeys() == null ? before.sshKeys() : sshKeys(wanted.sshKeys()),
            Optional.ofNullable(wanted.afterHostCrash())
                .map(AfterHostCrash::parse)
                .orElse(before.afterHostCrash()));
    // Without If-Match the change is still one of what was read just now.
    long revision = Context.expectedRevision(call).orElse(before.revision());
    return answer(200, nodes.change(project, before.id().toString(), spec, Optional.of(revision)));
  }

  private Answer delete(Call call) {
    nodes.delete(context.project(call), call.variable("node"));
    return Answer.none();
  }

  private Answer provision(Call call) {
    NodeBody.Provision wanted = call.body(NodeBody.Provision.class);
    BootDrive drive = drive(wanted);
    List<String> keys = sshKeys(wanted.sshKeys());
    UUID project = context.project(call);
    return Context.longWork(
        context.start(
            call, project, () -> nodes.provision(project, call.variable("node"), drive, keys)));
  }

  private static BootDrive drive(NodeBody.Provision wanted) {
    String field =
        Required.oneOf(
            List.of("image", "disk", "snapshot"), wanted.image(), wanted.disk(), wanted.snapshot());
    return switch (field) {
      case "image" -> new BootDrive.OfImage(Required.field(field, wanted.image()));
      case "disk" -> new BootDrive.OfDisk(Required.field(field, wanted.disk()));
      default -> new BootDrive.OfSnapshot(Required.field(field, wanted.snapshot()));
    };
  }

  private Answer release(Call call) {
    boolean deleteDisk =
        call.hasBody()
            && Optional.ofNullable(call.body(NodeBody.Release.class).deleteDisk()).orElse(false);
    Nodes.ReleasedDisk disk = deleteDisk ? Nodes.ReleasedDisk.TRASH : Nodes.ReleasedDisk.KEEP;
    UUID project = context.project(call);
    return Context.longWork(
        context.start(call, project, () -> nodes.release(project, call.variable("node"), disk)));
  }

  private Answer failover(Call call) {
    String to = Required.field("to", call.body(NodeBody.Failover.class).to());
    UUID project = context.project(call);
    return Context.longWork(
        context.start(call, project, () -> nodes.failover(project, call.variable("node"), to)));
  }

  private Answer power(Call call) {
    return Answer.json(
        200,
        new NodeBody.Power(
            NodeBody.word(nodes.power(context.project(call), call.variable("node")))));
  }

  private Answer switchPower(Call call) {
    String text = Required.field("action", call.body(NodeBody.PowerSwitch.class).action());
    PowerAction action = action(text);
    UUID project = context.project(call);
    Operation operation =
        context.start(
            call, project, () -> nodes.switchPower(project, call.variable("node"), action));
    return Context.longWork(operation);
  }

  private Answer explain(Call call) {
    return Answer.json(
        200, ExplanationBody.of(nodes.explain(context.project(call), call.variable("node"))));
  }

  private Answer machines(Call call) {
    return Answer.json(
        200, new PageBody<>(nodes.unknownMachines().stream().map(MachineBody::of).toList(), null));
  }

  private Answer.Whole answer(int status, Node node) {
    Optional<Boot> latest =
        nodes.boots(node.projectId(), node.id().toString(), 1).stream().findFirst();
    NodeBody body = NodeBody.of(node, latest);
    return Context.withRevision(Answer.json(status, body), node.revision());
  }

  private static List<MacAddress> macs(List<NodeBody.@Nullable Nic> nics) {
    List<MacAddress> macs = new ArrayList<>();
    for (int i = 0; i < nics.size(); i++) {
      NodeBody.Nic nic = Required.field("nics[" + i + "]", nics.get(i));
      String field = "nics[" + i + "].mac";
      macs.add(MacAddress.parse(field, Required.field(field, nic.mac())));
    }
    return macs;
  }

  private static List<String> sshKeys(@Nullable List<@Nullable String> wanted) {
    List<String> keys = new ArrayList<>();
    for (int i = 0; wanted != null && i < wanted.size(); i++) {
      keys.add(Required.field("sshKeys[" + i + "]", wanted.get(i)));
    }
    return keys;
  }

  private static Firmware firmware(String text) {
    return Firmware.parse(text);
  }

  private static PowerAction action(String text) {
    for (PowerAction action : PowerAction.values()) {
      if (action.name().toLowerCase(Locale.ROOT).equals(text)) {
        return action;
      }
    }
    throw ControlException.ofField(
        ErrorCode.FIELD_INVALID,
        "action",
        text,
        "'" + text + "' is nothing that power can do.",
        "Use on, off or cycle.");
  }
}
