"""Debian's ffmpeg: its Vulkan filters on a generated film. Pictures go up, are filtered, come back, and are compared by checksum."""

from .program import Program


class Ffmpeg(Program):
    name = "ffmpeg"
    text = "ffmpeg's Vulkan filters on a test film; the checksum of every picture is compared"
    debian = ["ffmpeg"]

    @classmethod
    def options(cls, parser):
        parser.add_argument("--filter", default="gblur_vulkan=sigma=1:size=5,hflip_vulkan", help="the filters on the GPU")
        parser.add_argument("--size", default="320x240", help="of the film")
        parser.add_argument("--frames", type=int, default=40, help="of the film")

    def command(self):
        chain = f"format=yuv420p,hwupload,{self.args.filter},hwdownload,format=yuv420p"
        return ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "warning", "-init_hw_device", "vulkan=card:0",
                "-filter_hw_device", "card", "-f", "lavfi", "-i", f"testsrc2=s={self.args.size}:r=25", "-frames:v", str(self.args.frames), "-vf", chain,
                "-f", "framemd5", "-flush_packets", "1", "-"]

    def summary(self, result):
        return f"{sum(1 for line in result.splitlines() if not line.startswith('#'))} pictures"
