package io.malleable.server;

import io.malleable.control.Control;
import io.malleable.control.Node;
import io.malleable.hardware.NodeConsole;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.Function;

/**
 * What the API stands on.
 *
 * @param consoles the serial console of a node, where it has one
 * @param exports makes files of images
 * @param checks looks inside images
 * @param uploads directory for image files on their way in
 * @param reserveBytes what uploads leave free on that directory's file system
 * @param serving false while the server starts or stops: streams end, {@code /readyz} refuses
 */
public record ApiPorts(
    Control control,
    ServerFacts facts,
    PortalAddress portal,
    Function<Node, Optional<NodeConsole>> consoles,
    ImageExports exports,
    ImageChecks checks,
    Path uploads,
    long reserveBytes,
    BooleanSupplier serving) {}
