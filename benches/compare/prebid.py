"""placeholder"""
class Prebid: pass
