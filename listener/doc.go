// Package listener accepts connections: N sockets on one address, one for each
// shard, so that no two cores share an accept queue.
//
//	g, err := listener.Listen(ctx, listener.Config{Address: ":8080"})
//
// # Two forms
//
// A [Group] is a net.Listener: Accept, Close, Addr. The first Accept starts one
// loop per socket in Go's poller. On Linux an event loop may use the group's
// [Socket] values instead: put FD in an epoll set, level-triggered, and call
// Socket.Accept until EAGAIN or until its burst is over. Use one form or the
// other.
//
// [Bind] and [Group.Listen] are apart so that a taken port is told before
// anything else is built, while nobody connects before all of it is ready.
// [Inherit] takes over sockets of a service manager or predecessor, by name;
// [FromListener] adopts a listener of package net.
//
// # System calls per connection
//
// Counted with strace, a connection that brings one request and closes, Linux
// on amd64, Go 1.26 (TestSyscallsPerConnection keeps the counts):
//
//	             Socket.Accept   Group.Accept   package net
//	accept4            1               1             1
//	fcntl              -               1             -
//	getsockname        -               -             1
//	setsockopt         -               -             5
//	epoll_ctl          -            1 + 1         1 + 1
//	read, write      1 + 1           1 + 1         1 + 1
//	close              1               1             1
//
// So accepting alone is one call in the event loop and three (accept4, fcntl,
// EPOLL_CTL_ADD) as a net.Listener, against eight. In addition an accept loop
// meets one EAGAIN for each time it finds the queue empty. Options are set once,
// on the listening socket: accepted ones inherit TCP_NODELAY, keep-alive,
// TCP_USER_TIMEOUT and TCP_NOTSENT_LOWAT. The fcntl is os.NewFile looking
// whether the descriptor is non-blocking. Addresses are asked for when somebody
// wants them: LocalAddr is one getsockname, if the group is bound to a wildcard.
//
// # Sharing a port
//
// Sockets of a group share the port by SO_REUSEPORT; where the system refuses
// it, Bind fails. The same option would let a group of another process of the
// same user join, or be joined, in silence, and each get part of the other's
// connections. So Bind and Listen first bind a probe with SO_REUSEADDR alone,
// which fails if anybody listens: [InUseError] names the address and, as far
// as /proc tells this user, process and program. Config.Join is for those who
// want to share.
//
// # Errors of accept
//
// [Classify] knows three classes beside "nothing there": retry (a signal, or
// that one connection failed), back off (no descriptors, no memory; [Backoff]:
// 5 ms doubling to 1 s, one log line a second), fatal (no listening socket).
// While accepting backs off, clients stay in the queue and are served when it
// goes on. After [ShedAfter] without one accept a [Spare] descriptor is used
// to turn them away, for the queue would hang for ever otherwise.
//
// # Closing
//
// The kernel resets what is left in an accept queue when its socket closes,
// whatever other sockets the group has. So Close quiesces first (no SYN enters;
// handshakes that are under way end), waits [RoundTrip], and empties the
// queues; close.go has the picture. Accept returns those connections, then
// net.ErrClosed. An event loop takes the same steps by [Group.Quiesce],
// [Group.RoundTrip], Socket.Accept until EAGAIN, and Close.
//
// # PROXY protocol
//
// [ParseProxyHeader] reads the header by which a proxy that passes bytes on tells
// whose they are, and [Proxies] knows whose connections begin with one: those of
// listed addresses must, all others are what they seem. A group accepts such
// connections like any other. Who serves them reads the header before all else
// (package serve does), from the socket's queue by a look that leaves it there, or
// by [ReadProxyHeader], which takes no byte too many; so nothing has to be handed
// on beside the connection. A [Gate] counts them as nobody's until then:
// Gate.Identify.
//
// # UDP, for HTTP/3
//
// A [PacketGroup] is N UDP sockets on one address. UDP has no connections, so
// there is nothing to accept: Linux chooses a socket for every datagram. A
// program of six instructions, attached to the group, takes those of a QUIC
// connection that stands to the socket its connection ID names, wherever the
// client has moved to, and leaves handshakes to the kernel's hash; packet.go has
// the picture. Where that cannot be had the group has one socket, because the
// wrong one would kill the connection. A port that anybody has is refused
// without a probe: Linux lets a socket with a program join no group.
//
// # Limits
//
//	accept queue          4096 a socket      Config.Backlog; net.core.somaxconn cuts it
//	connections           RLIMIT_NOFILE / 2  Gate, ConnectionCeiling: a proxied one costs two descriptors (TestGateTotal)
//	connections a client  256                Gate: carrier NAT needs as many (TestGateDefaults)
//	silent peer           2 min              keep-alive after 60 s, then 4 probes 15 s apart; TCP_USER_TIMEOUT for
//	                                         sent bytes. Routers forget flows after minutes: 60 s keeps them
//	                                         alive, and is what a tunnel needs (TestOptionsAreInherited)
//	PROXY header          536 B, 3 s         the least segment; one lost segment (TestParseProxyHeader)
//	back-off              5 ms to 1 s        TestBackoff, TestOutOfDescriptors
//	shedding              after 10 s, 64 at  TestSpareShedsWhenNothingElseHelps
//	                      a time
//	drain                 200 ms + 2 s       RoundTrip; the rest only where descriptors lack
//	inherited sockets     4096               TestInheritedEnvironment
//	UDP sockets           256 a group        one byte of a connection ID tells them apart (TestPacketConfigLimits)
//	UDP buffers           7 MiB a socket     PacketConfig.ReadBuffer, WriteBuffer; net.core.rmem_max and wmem_max
//	                                         cut them (TestPacketSmallBuffersAreLogged)
//
// # Limitations
//
//   - The kernel spreads connections over the sockets by hash and does not
//     rebalance. Compare Socket.Accepted.
//   - Between the probe and listen(2) a stranger of the same user may still slip
//     in; the window is some microseconds long.
//   - A client more than RoundTrip away, whose handshake began right before the
//     close, may be reset: its last ACK finds no socket. So may one that
//     Config.DeferAccept holds back, since the kernel has not completed it.
//   - A client whose SYN is dropped by a quiesced socket repeats it a second
//     later, also if another process of a joined group would have taken it.
//   - A Spare's descriptor can be taken by other parts of the process, in the
//     moment in which it is given up; the next free one is reserved again.
//   - A PacketGroup of several sockets can still be joined, once it is bound, by
//     a stranger of the same user who sets SO_REUSEPORT. He gets a share of the
//     handshakes, and of later packets none.
//   - Systems other than Linux have one socket, listen at Bind, cannot quiesce
//     (what arrives during the drain may be reset), have no raw Accept, and
//     take of the socket options keep-alive alone.
package listener
